"""Data pipes of streams."""

from typing import Any

from .....errors import NotBuilt
from .combining import (
    ConcaterIterDataPipe as Concater,
)
from .combining import (
    DemultiplexerIterDataPipe as Demultiplexer,
)
from .combining import (
    ForkerIterDataPipe as Forker,
)
from .combining import (
    MultiplexerIterDataPipe as Multiplexer,
)
from .combining import (
    ZipperIterDataPipe as Zipper,
)
from .grouping import (
    BatcherIterDataPipe as Batcher,
)
from .grouping import (
    GrouperIterDataPipe as Grouper,
)
from .grouping import (
    UnBatcherIterDataPipe as UnBatcher,
)
from .ordering import (
    SamplerIterDataPipe as Sampler,
)
from .ordering import (
    ShardingFilterIterDataPipe as ShardingFilter,
)
from .ordering import (
    ShufflerIterDataPipe as Shuffler,
)
from .single import (
    CollatorIterDataPipe as Collator,
)
from .single import (
    FilterIterDataPipe as Filter,
)
from .single import (
    IterableWrapperIterDataPipe as IterableWrapper,
)
from .single import (
    MapperIterDataPipe as Mapper,
)

_NOT_BUILT = frozenset(["FileLister", "FileOpener", "RoutedDecoder", "StreamReader"])

__all__ = [
    "Batcher",
    "Collator",
    "Concater",
    "Demultiplexer",
    "Filter",
    "Forker",
    "Grouper",
    "IterableWrapper",
    "Mapper",
    "Multiplexer",
    "Sampler",
    "ShardingFilter",
    "Shuffler",
    "UnBatcher",
    "Zipper",
]


def __getattr__(name: str) -> Any:
    if name in _NOT_BUILT:
        raise NotBuilt(f"torch.utils.data.datapipes.iter.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
