"""Floor 4: neural networks: modules, their functions, parameters and initial values."""

# ruff: noqa: F403

from . import attention, functional, grad, init, modules, parameter, utils
from .modules import *
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
