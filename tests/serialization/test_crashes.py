"""Whatever interrupts `save`, the file under the final name is the old one or the new one."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import flambeau

ROOT = Path(__file__).resolve().parents[2]


def program(text, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


SAVES_FOREVER = """
import sys, flambeau
for number in range(1, 10**9):
    flambeau.save({"number": number, "x": flambeau.full((200_000,), float(number))}, sys.argv[1])
    print(number, flush=True)
"""


def test_kill(tmp_path):
    path = tmp_path / "model.pt"
    for wait in (0, 0.004):
        process = program(SAVES_FOREVER, path)
        last = int(process.stdout.readline())
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        last = max([last, *map(int, process.communicate()[0].split())])
        loaded = flambeau.load(path)
        assert loaded["number"] in (last, last + 1)
        assert (loaded["x"] == loaded["number"]).all()
    names = [entry.name for entry in tmp_path.iterdir()]
    assert all(name == "model.pt" or name.endswith(".tmp") for name in names)


DIES_WHILE_WRITING = """
import os, signal, sys, flambeau
from flambeau.serialization import archive

written = archive.ArchiveWriter.write
def write(self, record, data):
    written(self, record, data)
    if record == sys.argv[2]:
        self._file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
archive.ArchiveWriter.write = write
flambeau.save([flambeau.ones(1000), flambeau.ones(1000)], sys.argv[1])
"""


@pytest.mark.parametrize("record", ["data.pkl", "data/0", "version"])
def test_kill_at_every_record(tmp_path, record):
    path = tmp_path / "model.pt"
    flambeau.save("old", path)
    process = program(DIES_WHILE_WRITING, path, record)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert flambeau.load(path) == "old"


FULL_DISK = """
import resource, signal, sys, flambeau
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    if sys.argv[3] == "safetensors":
        from flambeau.safetensors import save_file
        save_file({"x": flambeau.ones(20000)}, sys.argv[1])
    else:
        old = sys.argv[3] == "old"
        flambeau.save(flambeau.ones(20000), sys.argv[1], _use_new_zipfile_serialization=not old)
except OSError as error:
    print("OSError", error.errno)
"""


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
def test_a_full_disk(tmp_path, kind):
    path = tmp_path / "model.pt"
    flambeau.save("old", path)
    out, err = program(FULL_DISK, path, 70000, kind).communicate()
    assert out.startswith("OSError"), err
    assert err == ""
    assert flambeau.load(path) == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt"]


def test_a_file_that_cannot_be_written_to():
    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        flambeau.save(1, Full())


def test_a_folder_without_permission(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        flambeau.save(1, tmp_path / "model.pt")
    tmp_path.chmod(0o700)
