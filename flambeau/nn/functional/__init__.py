"""The functions behind the modules."""

from ...ops.convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from ...ops.grouped import conv_tbc, grouped_mm
from ...ops.linear import bilinear, linear
from ...ops.pixels import channel_shuffle, pad, pixel_shuffle, pixel_unshuffle
from .activation import *  # noqa: F403
from .attention import multi_head_attention_forward, scaled_dot_product_attention
from .distance import cosine_similarity, pairwise_distance, pdist
from .dropout import *  # noqa: F403
from .linear_cross_entropy import linear_cross_entropy
from .loss import *  # noqa: F403
from .normalization import *  # noqa: F403
from .pooling import *  # noqa: F403
from .scaled import ScalingType, SwizzleType, scaled_grouped_mm, scaled_mm
from .sparse import embedding, embedding_bag, one_hot
from .vision import (
    affine_grid,
    grid_sample,
    interpolate,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)

native_channel_shuffle = channel_shuffle
