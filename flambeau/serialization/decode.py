"""An interpreter for the pickle instructions of checkpoints.

It knows containers and plain values; what global names stand for, `rebuild.py` says. It imports
nothing, calls nothing else, and takes time and memory in proportion to its input.
"""

from __future__ import annotations

import pickletools
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from .archive import CheckpointError
from .functions import FROZEN_SET, is_plain_key
from .tags import Global

_MARK = object()
_TUPLES_AS_KEYS = 4096  # in one checkpoint, for Note [Keys that collide]


class Decoder:
    """Runs pickle instructions on a stack.

    Args:
        instructions: the contents of `data.pkl`.
        call: `call(target, arguments)` gives the result of a function.
        new: `new(target, arguments)` makes an instance of a class.
        constant: `constant(tag)` gives the object of a global name; None: the tag will do.
        build: `build(object, state)` gives an object its state.
        storage: `storage(reference)` gives the storage that a reference names.
        hashable: types that may be keys beside plain values and tuples of them.
        encoding: of texts that Python 2 wrote.

    Raises:
        CheckpointError: for instructions that are malformed or go beyond what checkpoints need.
    """

    def __init__(
        self,
        instructions: bytes | bytearray,
        *,
        call: Callable[[Any, Any], Any],
        new: Callable[[Any, Any], Any],
        constant: Callable[[Global], Any],
        build: Callable[[Any, Any], None],
        storage: Callable[[Any], Any],
        hashable: tuple[type, ...],
        encoding: str = "utf-8",
    ):
        self._data = instructions
        self._at = 0
        self._encoding = encoding
        self._tuple_keys = 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._call = call
        self._new = new
        self._constant = constant
        self._build_state = build
        self._load_storage = storage
        self._hashable = hashable

    def decode(self) -> Any:
        """The object that the instructions describe; the next call goes on behind them."""
        self._stack, self._memo = [], {}
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
        piece = bytes(self._data[self._at : end])
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
        except (UnicodeDecodeError, LookupError) as error:
            raise CheckpointError(f"a text in the pickle is not {encoding}: {error}") from error

    @property
    def position(self) -> int:
        """How many bytes have been read."""
        return self._at

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

    def _top(self, kind: type | tuple[type, ...]) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise CheckpointError("the pickle fills something that is no container of its kind")
        return self._stack[-1]

    def _key(self, value: Any, nested: bool = False) -> Any:
        if is_plain_key(value) or type(value) in self._hashable:
            return value
        if isinstance(value, tuple) and len(value) <= 64 and not nested:
            self._tuple_keys += 1
            if self._tuple_keys > _TUPLES_AS_KEYS:
                raise CheckpointError(f"more than {_TUPLES_AS_KEYS} tuples are keys")
            for item in value:
                self._key(item, nested=True)
            return value
        raise CheckpointError(f"a {type(value).__name__} cannot be a key in a checkpoint")

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
        data = self._take(self._number(form))
        self._stack.append(
            data if self._encoding == "bytes" else self._decoded(data, self._encoding)
        )

    def _bytes(self, form: str) -> None:
        self._stack.append(self._take(self._number(form)))

    def _bytearray(self) -> None:
        self._stack.append(bytearray(self._take(self._number("<Q"))))

    def _tuple(self, count: int | None = None) -> None:
        items = self._pop_to_mark() if count is None else [self._pop() for _ in range(count)]
        self._stack.append(tuple(items if count is None else reversed(items)))

    def _append(self) -> None:
        item = self._pop()
        self._top((list, deque)).append(item)

    def _extend(self) -> None:
        items = self._pop_to_mark()
        self._top((list, deque)).extend(items)

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

    def _frozen_set(self) -> None:
        items = self._pop_to_mark()
        self._stack.append(self._call(FROZEN_SET, (items,)))

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
        arguments, target = self._pop(), self._pop()
        self._stack.append(self._call(target, arguments))

    def _new_object(self) -> None:
        arguments, target = self._pop(), self._pop()
        self._stack.append(self._new(target, arguments))

    def _build(self) -> None:
        state = self._pop()
        target = self._pop()
        self._build_state(target, state)
        self._stack.append(target)

    def _storage(self) -> None:
        self._stack.append(self._load_storage(self._pop()))


def global_names(instructions: bytes) -> list[Global]:
    """The global names in a pickle, in their order, each once; nothing is rebuilt.

    Raises:
        CheckpointError: for instructions that are malformed.
    """
    found: dict[Global, None] = {}
    texts: list[str] = []  # the latest ones, of which STACK_GLOBAL takes two
    memo: dict[int, str] = {}
    try:
        for opcode, argument, _ in pickletools.genops(instructions):
            if opcode.name == "GLOBAL":
                module, _, name = str(argument).partition(" ")
                found[Global(module, name)] = None
            elif opcode.name == "STACK_GLOBAL" and len(texts) >= 2:
                found[Global(*texts[-2:])] = None
            elif "PUT" in opcode.name or opcode.name == "MEMOIZE":
                memo[len(memo) if argument is None else int(str(argument))] = (texts or [""])[-1]
            elif "GET" in opcode.name:
                texts.append(memo.get(int(str(argument)), ""))
            elif isinstance(argument, str):
                texts.append(argument)
    except (ValueError, struct.error, OverflowError) as error:
        raise CheckpointError(f"the pickle is malformed: {error}") from error
    return list(found)


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
    0x91: Decoder._frozen_set,
    ord("q"): _with(Decoder._put, "<B"),
    ord("r"): _with(Decoder._put, "<I"),
    0x94: Decoder._memoize,
    ord("h"): _with(Decoder._get, "<B"),
    ord("j"): _with(Decoder._get, "<I"),
    ord("c"): Decoder._global,
    0x93: Decoder._stack_global,
    ord("R"): Decoder._reduce,
    0x81: Decoder._new_object,
    ord("b"): Decoder._build,
    ord("Q"): Decoder._storage,
}
