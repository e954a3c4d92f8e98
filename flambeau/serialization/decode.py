"""An interpreter for the pickle instructions of checkpoints.

It knows containers, plain values and the global names of `rebuild.py`; it imports nothing, calls
nothing else, and allocates no more than a small multiple of its input.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from .archive import CheckpointError
from .tags import Global

_MARK = object()
_PLAIN = (str, bytes, int, float, complex, bool, type(None))


class Decoder:
    """Runs pickle instructions on a stack.

    Args:
        instructions: the contents of `data.pkl`.
        call: `call(tag, arguments)` builds the object that a global name stands for.
        constant: `constant(tag)` gives the object of a global name that is no function, or None.
        build: `build(object, state)` gives an object its state.
        storage: `storage(reference)` gives the storage that a reference names.
        hashable: types that may be keys beside plain values and tuples of them.

    Raises:
        CheckpointError: for instructions that are malformed or go beyond what checkpoints need.
    """

    def __init__(
        self,
        instructions: bytes | bytearray,
        *,
        call: Callable[[Global, tuple[Any, ...]], Any],
        constant: Callable[[Global], Any],
        build: Callable[[Any, Any], None],
        storage: Callable[[Any], Any],
        hashable: tuple[type, ...],
    ):
        self._data = bytes(instructions)
        self._at = 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._call = call
        self._constant = constant
        self._build_state = build
        self._load_storage = storage
        self._hashable = (*_PLAIN, *hashable)

    def decode(self) -> Any:
        """The object that the instructions describe."""
        while True:
            opcode = self._take(1)[0]
            if opcode == ord("."):
                break
            instruction = _INSTRUCTIONS.get(opcode)
            if instruction is None:
                raise CheckpointError(
                    f"pickle instruction {bytes([opcode])!r} is not for checkpoints"
                )
            instruction(self)
        if len(self._stack) != 1 or self._stack[0] is _MARK:
            raise CheckpointError("the pickle does not end with exactly one object")
        return self._stack[0]

    # Input

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if count < 0 or end > len(self._data):
            raise CheckpointError("the pickle is cut short")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _line(self) -> str:
        end = self._data.find(b"\n", self._at)
        if end < 0:
            raise CheckpointError("the pickle is cut short")
        line = self._take(end - self._at)
        self._take(1)
        return self._decoded(line, "utf-8")

    @staticmethod
    def _decoded(data: bytes, encoding: str) -> str:
        try:
            return str(data, encoding, "surrogatepass" if encoding == "utf-8" else "strict")
        except UnicodeDecodeError as error:
            raise CheckpointError(f"a text in the pickle is not {encoding}: {error}") from error

    # The stack

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise CheckpointError("the pickle takes an object from an empty stack")
        return self._stack.pop()

    def _pop_to_mark(self) -> list[Any]:
        for position in range(len(self._stack) - 1, -1, -1):
            if self._stack[position] is _MARK:
                items = self._stack[position + 1 :]
                del self._stack[position:]
                return items
        raise CheckpointError("the pickle refers to a mark that was never set")

    def _top(self, kind: type) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise CheckpointError(f"the pickle fills something that is no {kind.__name__}")
        return self._stack[-1]

    def _key(self, value: Any, nested: bool = False) -> Any:
        plain = isinstance(value, self._hashable)
        if not plain and type(value) is tuple and not nested:
            plain = all(self._key(item, nested=True) is item for item in value)
        if not plain:
            raise CheckpointError(f"a {type(value).__name__} cannot be a key in a checkpoint")
        return value

    # Instructions

    def _protocol(self) -> None:
        version = self._number("<B")
        if not 2 <= version <= 5:
            raise CheckpointError(f"expected pickle protocol 2 to 5, got {version}")

    def _frame(self) -> None:
        self._take(8)  # a hint about buffering

    def _mark(self) -> None:
        self._stack.append(_MARK)

    def _discard(self) -> None:
        self._pop()

    def _discard_to_mark(self) -> None:
        self._pop_to_mark()

    def _integer(self, form: str) -> None:
        self._stack.append(self._number(form))

    def _long(self, form: str) -> None:
        self._stack.append(int.from_bytes(self._take(self._number(form)), "little", signed=True))

    def _text(self, form: str) -> None:
        self._stack.append(self._decoded(self._take(self._number(form)), "utf-8"))

    def _old_text(self, form: str) -> None:
        self._stack.append(self._decoded(self._take(self._number(form)), "ascii"))

    def _bytes(self, form: str) -> None:
        self._stack.append(self._take(self._number(form)))

    def _bytearray(self) -> None:
        self._stack.append(bytearray(self._take(self._number("<Q"))))

    def _tuple(self, count: int | None = None) -> None:
        items = self._pop_to_mark() if count is None else [self._pop() for _ in range(count)]
        self._stack.append(tuple(items if count is None else reversed(items)))

    def _append(self) -> None:
        item = self._pop()
        self._top(list).append(item)

    def _extend(self) -> None:
        items = self._pop_to_mark()
        self._top(list).extend(items)

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._top(dict)[self._key(key)] = value

    def _set_items(self) -> None:
        items = self._pop_to_mark()
        if len(items) % 2:
            raise CheckpointError("a dictionary in the pickle has a key without a value")
        target = self._top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[self._key(key)] = value

    def _add_items(self) -> None:
        items = self._pop_to_mark()
        self._top(set).update(self._key(item) for item in items)

    def _put(self, form: str) -> None:
        number = self._number(form)
        self._memo[number] = self._pop()
        self._stack.append(self._memo[number])

    def _memoize(self) -> None:
        self._memo[len(self._memo)] = value = self._pop()
        self._stack.append(value)

    def _get(self, form: str) -> None:
        number = self._number(form)
        if number not in self._memo:
            raise CheckpointError(f"the pickle refers to object {number}, which it never made")
        self._stack.append(self._memo[number])

    def _push_global(self, tag: Global) -> None:
        value = self._constant(tag)
        self._stack.append(tag if value is None else value)

    def _global(self) -> None:
        module = self._line()
        self._push_global(Global(module, self._line()))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise CheckpointError("a global name in the pickle is no text")
        self._push_global(Global(module, name))

    def _reduce(self) -> None:
        arguments, tag = self._pop(), self._pop()
        if not isinstance(tag, Global) or type(arguments) is not tuple:
            raise CheckpointError("the pickle calls something that is no function")
        self._stack.append(self._call(tag, arguments))

    def _build(self) -> None:
        state = self._pop()
        if not self._stack:
            raise CheckpointError("the pickle gives a state to nothing")
        self._build_state(self._stack[-1], state)

    def _storage(self) -> None:
        self._stack.append(self._load_storage(self._pop()))


def _push(make: Callable[[], Any]) -> Callable[[Decoder], None]:
    return lambda decoder: decoder._stack.append(make())


def _with(method: Callable[..., None], argument: Any) -> Callable[[Decoder], None]:
    return lambda decoder: method(decoder, argument)


_INSTRUCTIONS: dict[int, Callable[[Decoder], None]] = {
    0x80: Decoder._protocol,
    0x95: Decoder._frame,
    ord("("): Decoder._mark,
    ord("0"): Decoder._discard,
    ord("1"): Decoder._discard_to_mark,
    ord("N"): _push(lambda: None),
    0x88: _push(lambda: True),
    0x89: _push(lambda: False),
    ord("K"): _with(Decoder._integer, "<B"),
    ord("M"): _with(Decoder._integer, "<H"),
    ord("J"): _with(Decoder._integer, "<i"),
    0x8A: _with(Decoder._long, "<B"),
    0x8B: _with(Decoder._long, "<i"),
    ord("G"): _with(Decoder._integer, ">d"),
    ord("X"): _with(Decoder._text, "<I"),
    0x8C: _with(Decoder._text, "<B"),
    0x8D: _with(Decoder._text, "<Q"),
    ord("T"): _with(Decoder._old_text, "<i"),
    ord("U"): _with(Decoder._old_text, "<B"),
    ord("B"): _with(Decoder._bytes, "<I"),
    ord("C"): _with(Decoder._bytes, "<B"),
    0x8E: _with(Decoder._bytes, "<Q"),
    0x96: Decoder._bytearray,
    ord(")"): _push(tuple),
    ord("t"): Decoder._tuple,
    0x85: _with(Decoder._tuple, 1),
    0x86: _with(Decoder._tuple, 2),
    0x87: _with(Decoder._tuple, 3),
    ord("]"): _push(list),
    ord("a"): Decoder._append,
    ord("e"): Decoder._extend,
    ord("}"): _push(dict),
    ord("s"): Decoder._set_item,
    ord("u"): Decoder._set_items,
    0x8F: _push(set),
    0x90: Decoder._add_items,
    ord("q"): _with(Decoder._put, "<B"),
    ord("r"): _with(Decoder._put, "<I"),
    0x94: Decoder._memoize,
    ord("h"): _with(Decoder._get, "<B"),
    ord("j"): _with(Decoder._get, "<I"),
    ord("c"): Decoder._global,
    0x93: Decoder._stack_global,
    ord("R"): Decoder._reduce,
    ord("b"): Decoder._build,
    ord("Q"): Decoder._storage,
}
