"""`alias_torch` and `python -m flambeau.run`: programs find flambeau under PyTorch's names."""

import operator
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch.torch_version import TorchVersion as Expected

import flambeau
from flambeau import names, run
from flambeau.torch_version import TorchVersion
from tests import oracle_names

ROOT = Path(__file__).resolve().parent.parent


def python(*arguments, cwd, library=ROOT):
    environment = {**os.environ, "PYTHONPATH": str(library)}
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def program(folder, source, name="program.py"):
    (folder / name).write_text(textwrap.dedent(source))
    return name


# Names

IMPORTS = """
import sys
import flambeau.optim as loaded_before
import flambeau
import torch
import torch.nn as nn, torch.nn.functional as F
import torch.backends.cudnn as cudnn
from torch import nn as again, optim
from torch.nn import Module
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset

assert torch is flambeau and nn is again is flambeau.nn is torch.nn
assert F.relu is torch.nn.functional.relu and StepLR is optim.lr_scheduler.StepLR
assert issubclass(_BatchNorm, Module) and torch.utils.data.DataLoader is DataLoader
assert optim is loaded_before is torch.optim
assert nn.__spec__.name == "flambeau.nn" and cudnn.benchmark is False
assert torch.__version__.startswith("2.13.0+flambeau") and torch.__version__ >= (2, 13)
assert torch.__version__ == torch.version.__version__ and "2.9" < torch.__version__ < "3"
for line in sys.stdin:
    try:
        exec(line)
        print("no error")
    except Exception as error:
        kinds = [kind for kind in KINDS if isinstance(error, kind)]
        print(" ".join(kind.__name__ for kind in kinds), "|", error)
""".replace("KINDS", "(NotImplementedError, ImportError, AttributeError)")

MISSING = {  # statement -> the error's kinds and the beginning of its text
    "torch.onnx": "NotImplementedError AttributeError | torch.onnx is not built",
    "torch.compiler.set_stance": "NotImplementedError AttributeError | torch.compiler.set_stance",
    "torch.nn.quantized": "NotImplementedError AttributeError | torch.nn.quantized is not built",
    "torch.zeros(1).qscheme()": "NotImplementedError AttributeError | torch.Tensor.qscheme is not",
    "import torch.onnx": "NotImplementedError ImportError | torch.onnx is not built",
    "from torch import onnx": "NotImplementedError ImportError | torch.onnx is not built",
    "from torch.onnx import export": "NotImplementedError ImportError | torch.onnx is not built",
    "from torch.compiler import set_stance": "NotImplementedError ImportError | torch.compiler.set",
    "from torch.nn import quantized": "NotImplementedError ImportError | torch.nn.quantized is not",
    "torch.nn.Linaer": "AttributeError | module 'torch.nn' has no attribute 'Linaer'",
    "torch.foo": "AttributeError | module 'torch' has no attribute 'foo'",
    "import torch.foo": "ImportError | No module named 'torch.foo'",
    "from torch import foo": "ImportError | cannot import name 'foo'",
    "import torch.nn.functional as G": "no error",
}


@pytest.mark.parametrize("with_pytorch", [True, False])
def test_names(tmp_path, with_pytorch):
    name = program(tmp_path, IMPORTS)
    command = [sys.executable, "-W", "error", "-m", "flambeau.run", name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if not with_pytorch:  # a `torch` that cannot be imported stands before the installed one
        (tmp_path / "torch.py").write_text("raise ImportError('not this one')")
    statements = "\n".join(MISSING)
    process = subprocess.run(
        command, cwd=tmp_path, env=environment, input=statements, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    found = process.stdout.splitlines()
    for statement, expected, text in zip(MISSING, MISSING.values(), found, strict=True):
        assert text.startswith(expected), (statement, text)


def test_refused_where_pytorch_is_imported():
    assert sys.modules["torch"] is torch
    with pytest.raises(RuntimeError, match=r"PyTorch 2\.13.* is imported in this process already"):
        flambeau.alias_torch()
    assert sys.modules["torch"] is torch and flambeau.config.namespace == "flambeau"


@pytest.mark.parametrize("name", ["nn", "nn.functional", "optim", "utils.data", "linalg", "cuda"])
def test_the_list_of_names_is_pytorchs(name):
    module = operator.attrgetter(name)(torch)
    listed = names.names_in_pytorch()[f"torch.{name}"]
    own = set(oracle_names.own_names(module))
    assert own <= listed and len(own) > 5
    assert all(f"torch.{name}.{rest}" in names.names_in_pytorch() for rest in listed - own)


@pytest.mark.slow
def test_the_whole_list_of_names_is_pytorchs():
    process = python(
        "-W", "ignore", "-c", "from tests.oracle_names import *; print(table())", cwd=ROOT
    )
    assert process.stdout.strip() == oracle_names.TARGET.read_text().strip()


VERSIONS = """
1 1.0 1.0.0 1.10.0a 1.10.0 1.0.dev3 1.0a1.dev2 1.0.post1 1.0-1 1.0rc1 1.0b2 1.0.post1.dev2 2.13.0
2.13.0+cpu 2.13.0+flambeau.0.1.0 2.13.0+1 1!0.5 abc
""".split()  # noqa: SIM905


def test_versions_compare_as_pytorchs():
    def outcome(kind, version, compare, other):
        try:
            return compare(kind(version), other)
        except Exception as error:
            return type(error), str(error)

    others = [*VERSIONS, (1, 2), [2, 13], ("2", "13"), 3, None]
    for compare in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
        for version in VERSIONS:
            for other in others:
                case = (version, compare.__name__, other)
                ours = outcome(TorchVersion, version, compare, other)
                assert ours == outcome(Expected, version, compare, other), case


# Running

ENDS = {
    "facts": """
        import sys
        print(__name__, __file__, __spec__, __package__, __doc__, sys.argv, sys.path[0])
        print(sorted(globals()), sys.modules["__main__"].sys is sys)
    """,
    "exception": """
        def f():
            raise ValueError("a ☃")
        try:
            f()
        except ValueError as error:
            raise KeyError("another") from error
    """,
    "exit code": "raise SystemExit(3)",
    "exit text": "import sys; sys.exit('the reason')",
    "exit None": "import sys; sys.exit()",
    "syntax": "print(1)\nprint(2",
    "coding": "# -*- coding: latin-1 -*-\nprint(ascii('é'))",
    "excepthook": """
        import sys
        sys.excepthook = lambda kind, error, frames: print(kind, error, frames.tb_lineno)
        raise ValueError("seen")
    """,
}


def run_here(arguments, monkeypatch, capfd, flags=()):
    """What `python -m flambeau.run` does with the arguments, in this process."""
    monkeypatch.setattr(run, "alias_torch", lambda: None)
    monkeypatch.setattr(sys, "argv", ["run"])
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    code = 0
    try:
        code = run.main(arguments)
    except SystemExit as ended:
        code = ended.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    captured = capfd.readouterr()
    return code or 0, captured.out, captured.err


@pytest.mark.parametrize("case", ENDS)
def test_ends_as_under_python(case, tmp_path, monkeypatch, capfd):
    name = program(tmp_path, ENDS[case])
    if case == "coding":
        (tmp_path / name).write_bytes(ENDS[case].encode("latin-1"))
    expected = python(name, "--option", "value", cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    code, out, err = run_here([name, "--option", "value"], monkeypatch, capfd)
    assert (code, out, err) == (expected.returncode, expected.stdout, expected.stderr)


def test_modules(tmp_path, monkeypatch, capfd):
    source = "import sys\nprint(__name__, __file__, __package__, __spec__.name, sys.argv)"
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    for name in ("__main__.py", "inner.py"):
        program(tmp_path / "pack", source, name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in ("pack", "pack.inner"):
        expected = python("-m", module, "a", cwd=tmp_path)
        assert run_here(["-m", module, "a"], monkeypatch, capfd) == (0, expected.stdout, "")


@pytest.mark.parametrize("arguments", [["absent.py"], ["-m", "absent_module"], ["-m", "absent.x"]])
def test_nothing_to_run(arguments, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    code, out, err = run_here(arguments, monkeypatch, capfd)
    expected = python(*arguments, cwd=tmp_path)
    assert code and expected.returncode and (out, err) == ("", expected.stderr)


def test_interrupted(tmp_path, monkeypatch, capfd):
    name = program(tmp_path, "raise KeyboardInterrupt")
    monkeypatch.chdir(tmp_path)
    code, _, err = run_here([name], monkeypatch, capfd)
    assert code == run.INTERRUPTED and err.rstrip().endswith("KeyboardInterrupt")


def test_usage(monkeypatch, capfd):
    assert run_here([], monkeypatch, capfd) == (2, "", run.USAGE + "\n")
    assert run_here(["--help"], monkeypatch, capfd) == (0, run.USAGE + "\n", "")
    assert run_here(["-m"], monkeypatch, capfd) == (2, "", run.USAGE + "\n")


CHILDREN = """
import torch
import torch.multiprocessing as mp

class Model(torch.nn.Linear):
    pass

class Squares(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return torch.tensor(i * i), torch.utils.data.get_worker_info().id

def work(rank, model, results):
    import pickle
    assert torch.__version__.startswith("2.13.0+flambeau")
    assert type(pickle.loads(pickle.dumps(model))) is Model
    results.put((rank, type(model).__name__, model.weight.sum().item()))

if __name__ == "__main__":
    torch.manual_seed(0)
    results = mp.get_context("spawn").SimpleQueue()
    model = Model(2, 2)
    mp.spawn(work, args=(model, results), nprocs=1)
    print(results.get() == (0, "Model", model.weight.sum().item()))
    for values, workers in torch.utils.data.DataLoader(Squares(), 2, num_workers=1):
        print(values.tolist(), workers.tolist())
"""


def test_processes_follow(tmp_path):
    process = python("-m", "flambeau.run", program(tmp_path, CHILDREN), cwd=tmp_path)
    assert process.stdout == "True\n[0, 1] [0, 0]\n[4, 9] [0, 0]\n", process.stderr
    assert process.returncode == 0
