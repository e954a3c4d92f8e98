"""`torch._inductor.config`: settings, which are kept and change nothing: XLA generates the code."""

from .._settings import settings

settings(__name__)
