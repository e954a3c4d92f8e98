"""Settings that every test and doctest shares; they must be in place before jax is imported."""

import os
import sys
from pathlib import Path

import pytest

_cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache_home / "flambeau" / "test-programs"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _switches_of_the_oracle():
    """PyTorch's own testing modules freeze its global switches for the whole process."""
    oracle = sys.modules.get("torch")
    if oracle is not None and hasattr(oracle, "backends"):
        values = oracle.backends.flags_frozen.__globals__
        values["__allow_nonbracketed_mutation_flag"] = True


BELOW_NN = ("flambeau.core", "flambeau.ops", "flambeau.devices", "flambeau.dtypes", "flambeau.size")


@pytest.fixture(autouse=True)
def _names_for_doctests(request):
    """Doctests are written as PyTorch's users write: with `torch` at hand, above `nn` that, too."""
    if not isinstance(request.node, pytest.DoctestItem):
        return
    import flambeau

    flambeau.manual_seed(0)
    names = {"flambeau": flambeau, "torch": flambeau}
    if request.node.name != "flambeau" and not request.node.name.startswith(BELOW_NN):
        import flambeau.nn as nn
        import flambeau.nn.functional as F

        names |= {"nn": nn, "F": F}
    request.getfixturevalue("doctest_namespace").update(names)
