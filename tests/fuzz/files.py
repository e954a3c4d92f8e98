"""Damaged and malicious checkpoints: `python -m tests.fuzz.files --count 100000`.

Every input must be read, or refused with CheckpointError, in a second of computing and 512 MiB, and
nothing may be run, imported, opened or started, which an audit hook watches over.

An input is one of: a sound file cut off at a byte; a file with flipped bits, or with bytes
replaced, removed, repeated or taken from another file; a sound container around instructions that
were spliced with others; a container with other numbers in its headers; a crafted bomb.
"""

from __future__ import annotations

import argparse
import io
import itertools
import pickletools
import random
import resource
import struct
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

import flambeau
from flambeau.serialization import CheckpointError

SECONDS = 1.0
MEMORY = 512 << 20
FORBIDDEN = frozenset(
    """
    exec compile import open code.__new__ pickle.find_class marshal.loads marshal.load
    os.system os.exec os.fork os.forkpty os.posix_spawn os.spawn os.putenv os.remove os.rename
    os.mkdir os.rmdir os.chmod os.chown os.kill os.listdir os.scandir os.truncate
    subprocess.Popen socket.__new__ socket.connect ctypes.dlopen ctypes.call_function
    ctypes.dlsym mmap.__new__ shutil.rmtree shutil.move urllib.Request webbrowser.open
    setopencodehook sys.settrace sys.setprofile sys._getframe function.__new__ builtins.input
    gc.get_objects tempfile.mkstemp
    """.split()  # noqa: SIM905
)


class Watch:
    """An audit hook: the forbidden events while it is armed."""

    def __init__(self) -> None:
        self.armed = False
        self.events: list[str] = []
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple) -> None:
        if self.armed and event in FORBIDDEN:
            self.events.append(f"{event} {arguments!r:.100}")


# Sound files


def samples() -> list[bytes]:
    """Sound checkpoints of both formats, by both libraries, in several protocols."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    training = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    mixed = {
        "view": torch.arange(6.0).view(2, 3)[1:],
        "half": torch.ones(2, dtype=torch.bfloat16),
        "wide": torch.zeros(2, dtype=torch.uint16),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "plain": [1, 2**70, 2.5, "x", (1, 2, 3, 4), {1, 2}, b"ab", torch.bfloat16, None, 1j],
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
    }
    files = []
    for value in (training, mixed, model, torch.ones(2, 2)):
        for options in ({}, {"pickle_protocol": 4}, {"_use_new_zipfile_serialization": False}):
            buffer = io.BytesIO()
            torch.save(value, buffer, **options)
            files.append(buffer.getvalue())
    buffer = io.BytesIO()
    flambeau.save({"w": flambeau.ones(2, 3), "n": [1, "a"]}, buffer)
    files.append(buffer.getvalue())
    return files


def archive(instructions: bytes, storages: list[bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A sound container around instructions."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as out:
        out.writestr("a/data.pkl", instructions)
        out.writestr("a/byteorder", b"little")
        for number, memory in enumerate(storages):
            out.writestr(f"a/data/{number}", memory)
        out.writestr("a/version", b"3\n")
    return buffer.getvalue()


# Kinds of inputs


def flipped(rng: random.Random, files: list[bytes]) -> bytes:
    """Some bits are the other way round."""
    data = bytearray(rng.choice(files))
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def edited(rng: random.Random, files: list[bytes]) -> bytes:
    """Bytes are replaced, removed, repeated or taken from another file."""
    data = bytearray(rng.choice(files))
    for _ in range(rng.randint(1, 4)):
        _edit(rng, data, rng.choice(files))
    return bytes(data)


def _edit(rng: random.Random, data: bytearray, other: bytes) -> None:
    at, start = rng.randrange(len(data) + 1), rng.randrange(len(other))
    length = rng.choice((1, 1, 2, 4, 8, 30))
    kind = rng.randrange(4)
    if kind == 0:
        data[at : at + length] = rng.randbytes(length)
    elif kind == 1:
        del data[at : at + length]
    elif kind == 2:
        data[at:at] = other[start : start + length]
    else:
        data[at : at + length] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
    if not data:
        data += b"."


@dataclass
class Instructions:
    """The instructions of sound files, one by one, and their storages."""

    programs: list[tuple[list[bytes], list[bytes]]] = field(default_factory=list)

    @classmethod
    def of(cls, files: list[bytes]) -> Instructions:
        found = cls()
        for data in files:
            if not data.startswith(b"PK"):
                continue
            with zipfile.ZipFile(io.BytesIO(data)) as opened:
                records = {name.partition("/")[2]: opened.read(name) for name in opened.namelist()}
            pickled = records["data.pkl"]
            places = [place for _, _, place in pickletools.genops(pickled)] + [len(pickled)]
            pieces = [pickled[a:b] for a, b in itertools.pairwise(places)]
            keys = sorted((name for name in records if name.startswith("data/")), key=len)
            found.programs.append((pieces, [records[key] for key in keys]))
        return found


NAMES = [
    (b"os", b"system"),
    (b"posix", b"system"),
    (b"builtins", b"eval"),
    (b"builtins", b"exec"),
    (b"builtins", b"getattr"),
    (b"builtins", b"__import__"),
    (b"__builtin__", b"apply"),
    (b"subprocess", b"Popen"),
    (b"runpy", b"run_path"),
    (b"torch", b"load"),
    (b"torch.nn", b"Module"),
    (b"torch.nn.modules.module", b"Module.__init__"),
    (b"torch.nn.modules.linear", b"Linear"),
    (b"torch.nn.functional", b"relu"),
    (b"torch.nn.init", b"os.system"),
    (b"torch.serialization", b"os.system"),
    (b"torch._utils", b"_rebuild_tensor_v2"),
    (b"torch._utils", b"_rebuild_parameter"),
    (b"torch._tensor", b"_rebuild_from_type_v2"),
    (b"torch.storage", b"UntypedStorage"),
    (b"torch", b"FloatStorage"),
    (b"torch", b"device"),
    (b"torch", b"Size"),
    (b"collections", b"OrderedDict"),
    (b"collections", b"defaultdict"),
    (b"numpy._core.multiarray", b"scalar"),
    (b"numpy._core.multiarray", b"_reconstruct"),
    (b"numpy", b"dtype"),
    (b"numpy", b"ndarray"),
    (b"pathlib", b"PosixPath"),
    (b"datetime", b"datetime"),
    (b"_codecs", b"encode"),
    (b"flambeau.serialization.names", b"os"),
    (b"__main__", b"sys"),
]


def _instruction(rng: random.Random) -> bytes:
    """An instruction made up."""
    kind = rng.randrange(6)
    if kind == 0:
        return b"c" + b"\n".join(rng.choice(NAMES)) + b"\n"
    if kind == 1:
        return b"J" + struct.pack("<i", rng.choice((0, 1, -1, 2**31 - 1, -(2**31), 7)))
    if kind == 2:
        text = rng.choice((b"storage", b"cpu", b"0", b"cuda:0", b"__class__", b"id", b"b", b""))
        return b"X" + struct.pack("<I", len(text)) + text
    if kind == 3:
        number = rng.choice((2**62, 2**63, -(2**64), 2**200, 2**61 - 1)).to_bytes(
            27, "little", signed=True
        )
        return b"\x8a" + bytes([len(number)]) + number
    if kind == 4:
        return rng.choice((b"h", b"q")) + bytes([rng.randrange(64)])
    return bytes(
        [rng.choice(b"()0123.NabcdehjloqrstuQR]}\x81\x82\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94")]
    )


def spliced(rng: random.Random, programs: Instructions) -> bytes:
    """A sound container; its instructions are mixed with others."""
    pieces, storages = rng.choice(programs.programs)
    pieces = list(pieces)
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(1, len(pieces))
        kind = rng.randrange(5)
        if kind == 0:
            del pieces[at : at + rng.randint(1, 3)]
        elif kind == 1:
            other = rng.choice(programs.programs)[0]
            start = rng.randrange(len(other))
            pieces[at:at] = other[start : start + rng.randint(1, 8)]
        elif kind == 2:
            pieces[at:at] = [_instruction(rng) for _ in range(rng.randint(1, 4))]
        elif kind == 3 and len(pieces) > 3:
            to = rng.randrange(1, len(pieces))
            pieces[at], pieces[to] = pieces[to], pieces[at]
        else:
            pieces[at] = _instruction(rng)
        if len(pieces) < 3:
            break
    storages = [
        memory[: len(memory) - rng.randrange(3)] if rng.random() < 0.05 else memory
        for memory in storages
    ]
    return archive(b"".join(pieces), storages)


def renumbered(rng: random.Random, files: list[bytes]) -> bytes:
    """Other numbers, or other names, in the headers of the container."""
    data = bytearray(rng.choice([file for file in files if file.startswith(b"PK")]))
    for _ in range(rng.randint(1, 3)):
        header = rng.choice(
            (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07")
        )
        places = [at for at in range(len(data) - 3) if data[at : at + 4] == header]
        if not places:
            continue
        at = rng.choice(places) + rng.randrange(4, 50)
        width = rng.choice((1, 2, 4, 8))
        value = rng.choice((0, 1, 8, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, rng.getrandbits(64)))
        data[at : at + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    return bytes(data)


# Bombs


def _tensor(size: str, stride: str, offset: str = "0", count: int = 2) -> bytes:
    """The instructions of one tensor with whatever numbers, as Python source of tuples."""

    def number(value: int) -> bytes:
        if -(2**31) <= value < 2**31:
            return b"J" + struct.pack("<i", value)
        body = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8b" + struct.pack("<i", len(body)) + body

    def row(values: list[int]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000"
        b"X\x03\0\0\0cpu"
        + number(count)
        + b"tQ"
        + number(eval(offset))
        + row(eval(size))
        + row(eval(stride))
        + b"\x89}tR"
    )


TWO = [struct.pack("<2f", 1, 2)]


def _tensor_bomb(rng: random.Random) -> bytes:
    size, stride = rng.choice(
        (
            ("[1 << 62, 1 << 62]", "[0, 0]"),
            ("[1 << 40]", "[0]"),
            ("[2] * 5000", "[0] * 5000"),
            ("[(1 << 61)] * 63", "[0] * 63"),
            ("[1 << 30000]", "[1]"),
            ("[2]", "[1 << 30000]"),
            ("[0, 1 << 62]", "[1 << 61, 1 << 61]"),
            ("[-(1 << 30000)]", "[1]"),
            ("[1 << 24] ", "[0]"),
        )
    )
    offset = rng.choice(("0", "1 << 63", "-1", "1 << 30000", "2"))
    count = rng.choice((2, 2, 2, -2, 1 << 40))
    copies = rng.choice((1, 1, 300))
    one = _tensor(size, stride, offset, count)
    return archive(
        b"\x80\x02(" + one * copies + b"l."
        if copies == 1
        else b"\x80\x02](" + one * copies + b"e.",
        TWO,
    )


def _many(rng: random.Random, one: bytes, end: bytes = b"", start: bytes = b"") -> bytes:
    return archive(b"\x80\x02" + start + one * rng.choice((10, 1000, 20000)) + end + b".", [])


def _nested(rng: random.Random) -> bytes:
    kind = rng.randrange(5)
    deep = rng.choice((100, 5000, 100000))
    if kind == 0:
        return archive(b"\x80\x02" + b"]" * deep + b"a" * (deep - 1) + b".", [])
    if kind == 1:
        return archive(b"\x80\x02N" + b"\x85" * deep + b".", [])
    if kind == 2:  # as a key
        return archive(b"\x80\x02}N" + b"\x85" * deep + b"Ns.", [])
    if kind == 3:  # as the description of a storage, which an error might quote
        return archive(b"\x80\x02N" + b"\x85" * deep + b"Q.", [])
    doubled = b"".join(b"q%ch%c\x86" % (n, n) for n in range(200))
    return archive(b"\x80\x02N" + doubled + rng.choice((b"Q", b"\x85Q", b"}s", b"")) + b".", [])


def _colliding(rng: random.Random) -> bytes:
    prime = 2**61 - 1
    count = rng.choice((100, 20000))
    kind = rng.randrange(3)
    if kind == 0:
        keys = [
            b"\x8a" + bytes([11]) + (n * prime + 5).to_bytes(11, "little", signed=True)
            for n in range(count)
        ]
    elif kind == 1:
        keys = [b"J" + struct.pack("<i", n) + b"N\x86" for n in range(count)]
    else:
        keys = [
            b"c__builtin__\ncomplex\nG"
            + struct.pack(">d", 7 - 1000003.0 * n)
            + b"G"
            + struct.pack(">d", n)
            + b"\x86R"
            for n in range(count)
        ]
    body = b"".join(key + b"N" for key in keys)
    if rng.random() < 0.5:
        return archive(b"\x80\x02}(" + body + b"u.", [])
    return archive(b"\x80\x02c__builtin__\nset\n](" + b"".join(keys) + b"e\x85R.", [])


def _announced(rng: random.Random) -> bytes:
    """More bytes are announced than there are."""
    opcode, form = rng.choice(
        (
            (b"X", "<I"),
            (b"B", "<I"),
            (b"T", "<i"),
            (b"\x8b", "<i"),
            (b"\x8d", "<Q"),
            (b"\x8e", "<Q"),
            (b"\x96", "<Q"),
        )
    )
    size = rng.choice((2**31 - 1, 2**20, 2**30))
    if form == "<Q":
        size = rng.choice((2**63 - 1, 2**64 - 1, 2**40))
    return archive(b"\x80\x04" + opcode + struct.pack(form, size) + b"abc.", [])


def _container(rng: random.Random) -> bytes:
    kind = rng.randrange(4)
    if kind == 0:
        return archive(b"\x80\x02N.", [bytes(1 << 22)], zipfile.ZIP_DEFLATED)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        out.writestr("a/data.pkl", b"\x80\x02N.")
        if kind == 1:
            for number in range(3000):
                out.writestr(f"a/{number}", b"")
        elif kind == 2:
            out.writestr(
                rng.choice(("../x", "a/../../x", "/etc/x", "a\\x", "a//x", "b/data.pkl")), b""
            )
        else:
            out.comment = bytes(65535)
    return buffer.getvalue()


def _old(rng: random.Random) -> bytes:
    start = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
    machine = b"\x80\x02}X\x0d\0\0\0little_endian\x88s."
    one = _tensor("[2]", "[1]", count=rng.choice((2, 2**31 - 1, 1 << 60, -1))).replace(
        b"tQ", b"NtQ", 1
    )
    keys = rng.choice(
        (b"\x80\x02](X\x01\0\0\x000e.", b"\x80\x02].", b"\x80\x02N.", b"\x80\x02]N\x85a.")
    )
    memory = struct.pack("<q", rng.choice((2, -1, 2**62))) + bytes(rng.choice((0, 4, 8)))
    return start + machine + b"\x80\x02" + one + b"." + keys + memory


_BOMBS: list[Callable[[random.Random], bytes]] = [
    _tensor_bomb,
    _nested,
    _colliding,
    _announced,
    _container,
    _old,
    lambda rng: _many(rng, b"("),
    lambda rng: _many(rng, b"N0", b"N"),
    lambda rng: _many(rng, b"(", b"N" + b"1" * 10),
    lambda rng: _many(rng, b"h\0", b"e", b"]q\0("),
    lambda rng: _many(rng, b"\x94", b"", b"N"),
    lambda rng: _many(rng, b"r\xff\xff\xff\xff", b"", b"N"),
    lambda rng: _many(rng, b"h\0)R0", b"N", b"ccollections\nOrderedDict\nq\x000"),
    lambda rng: _many(rng, b"ccollections\nOrderedDict\n)R", b"l"),
    lambda rng: _many(rng, b"\x8f", b"0" * 3),
    lambda rng: _many(rng, b"h\0b", b"", b"ccollections\nOrderedDict\n)R}q\x00"),
]


def bomb(rng: random.Random) -> bytes:
    """A file that is made to take long, to take much memory, or to end in another error."""
    return rng.choice(_BOMBS)(rng)


# The run


@dataclass
class Tally:
    """What came of the inputs."""

    kinds: Counter = field(default_factory=Counter)
    outcomes: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    memory: int = 0

    def show(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.items())
        total = sum(self.kinds.values())
        return "\n".join(
            [
                *self.failures[:20],
                f"{total} inputs ({kinds}): {self.outcomes['read']} read, "
                f"{self.outcomes['refused']} refused with CheckpointError, "
                f"{len(self.failures)} failures; slowest {self.slowest[0] * 1000:.0f} ms "
                f"({self.slowest[1]}), peak memory +{self.memory >> 20} MiB, "
                f"{self.outcomes['event']} forbidden events",
            ]
        )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Judge:
    """Loads inputs and notes what is wrong."""

    def __init__(self, watch: Watch):
        self.watch = watch
        self.tally = Tally()
        self.start = _peak()

    def load(self, kind: str, name: str, data: bytes, trusting: bool) -> None:
        tally, watch = self.tally, self.watch
        tally.kinds[kind] += 1
        watch.events.clear()
        began = time.process_time()
        watch.armed = True
        try:
            flambeau.load(io.BytesIO(data), weights_only=not trusting)
            outcome = "read"
        except CheckpointError:
            outcome = "refused"
        except BaseException as error:
            outcome = "other"
            problem = f"{type(error).__name__}: {error}"[:300]
        finally:
            watch.armed = False
        seconds = time.process_time() - began
        tally.outcomes[outcome] += 1
        tally.slowest = max(tally.slowest, (seconds, name))
        tally.memory = max(tally.memory, _peak() - self.start)
        if outcome == "other":
            tally.failures.append(f"{name}: {problem}")
        if seconds > SECONDS:
            tally.failures.append(f"{name}: took {seconds:.1f} s")
        if watch.events:
            tally.outcomes["event"] += len(watch.events)
            tally.failures.append(f"{name}: {watch.events[0]}")
        if tally.memory > MEMORY:
            tally.failures.append(f"{name}: memory +{tally.memory >> 20} MiB")
            self.start = _peak()


def sow(count: int, seed: int = 0, first: int = 0) -> Tally:
    """Load `count` inputs, those of numbers `first`, `first` + 1, ...; every cut comes first."""
    watch = Watch()
    files = samples()
    programs = Instructions.of(files)
    for data in files:
        flambeau.load(io.BytesIO(data), weights_only=False)
    watch.armed = True
    compile("1", "canary", "eval")
    watch.armed = False
    if not watch.events:
        raise RuntimeError("the audit hook sees nothing")
    judge = Judge(watch)
    cuts = [(number, end) for number, data in enumerate(files) for end in range(len(data))]
    kinds: dict[str, Callable[[random.Random], bytes]] = {
        "flipped": lambda rng: flipped(rng, files),
        "edited": lambda rng: edited(rng, files),
        "spliced": lambda rng: spliced(rng, programs),
        "renumbered": lambda rng: renumbered(rng, files),
        "bombs": bomb,
    }
    weights = (25, 25, 35, 13, 2)
    for index in range(first, first + count):
        rng = random.Random(f"{seed}:{index}")
        if index < len(cuts):
            number, end = cuts[index]
            judge.load("cut", f"file {number} cut at {end}", files[number][:end], True)
            continue
        (kind,) = rng.choices(list(kinds), weights)
        data = kinds[kind](rng)
        judge.load(kind, f"{kind} {seed}:{index}", data, rng.random() < 0.5)
    return judge.tally


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.files")
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args(arguments)
    tally = sow(options.count, options.seed, options.first)
    print(tally.show())
    return int(bool(tally.failures))


if __name__ == "__main__":
    sys.exit(main())
