"""Floor 5: optimisers and schedules of their learning rates."""

import sys
import types

from . import lr_scheduler, swa_utils
from .lbfgs import LBFGS
from .matrix_rules import Adafactor, Muon
from .more_rules import ASGD, Adadelta, Adamax, NAdam, RAdam, Rprop
from .optimizer import Optimizer
from .rules import SGD, Adagrad, Adam, AdamW, RMSprop
from .sparse_adam import SparseAdam
from .swapping import swap_in_optimizer_params_and_state

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
    "swa_utils",
    "swap_in_optimizer_params_and_state",
]


def _named_modules() -> None:
    """PyTorch has a module for each optimiser: `from torch.optim.adam import Adam`."""
    for optimizer in (
        ASGD,
        SGD,
        Adadelta,
        Adagrad,
        Adam,
        Adamax,
        AdamW,
        NAdam,
        RAdam,
        RMSprop,
        Rprop,
    ):
        name = f"{__name__}.{optimizer.__name__.lower()}"
        module = types.ModuleType(name, f"`{optimizer.__name__}`, under its module's name.")
        setattr(module, optimizer.__name__, optimizer)
        module.Optimizer = Optimizer  # type: ignore[attr-defined]
        sys.modules[name] = module
        globals()[optimizer.__name__.lower()] = module


_named_modules()
