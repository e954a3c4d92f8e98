"""Floor 5: optimisers and schedules of their learning rates."""

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
