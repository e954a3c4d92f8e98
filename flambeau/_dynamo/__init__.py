"""`torch._dynamo`: the tracer of `torch.compile` in PyTorch; what programs say to it.

`flambeau.compile` traces by itself. Settings that it has, too, are passed on to it (see `config`),
the others are kept.
"""

from ..compiler import allow_in_graph, disable, reset
from ..compiler import is_dynamo_compiling as is_compiling
from . import config

__all__ = ["allow_in_graph", "config", "disable", "is_compiling", "reset"]
