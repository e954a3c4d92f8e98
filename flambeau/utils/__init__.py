"""Tools around training."""

from . import checkpoint as checkpoint
from . import data as data
from . import dlpack as dlpack
