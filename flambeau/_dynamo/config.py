"""`torch._dynamo.config`: settings.

`suppress_errors` lets a function that cannot be compiled run as it is; `recompile_limit` (or
`cache_size_limit`) says how often a function is compiled anew.
"""

from .._settings import settings

settings(__name__)
