"""Which draws of the oracle may leave the generator's stream on this machine.

# Note [MKL streams]
On Intel processors PyTorch's MKL build draws `bernoulli_(p)` (so the masks of dropout) and may draw
`exponential_` (so `multinomial` without replacement) from a stream of MKL's own, seeded by a word.
There these draws are compared by their statistics and facts, not by their values.
"""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
INTEL = CPUINFO.exists() and "GenuineIntel" in CPUINFO.read_text()
MKL_DRAWS = ("bernoulli", "dropout", "exponential", "multinomial")


def leaves_stream(draw: str) -> bool:
    """Whether the oracle may take `draw` (a name or a program text) from another stream here."""
    return INTEL and any(name in draw for name in MKL_DRAWS)
