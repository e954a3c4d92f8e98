"""The nodes of compiled functions on the tape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.op import apply
from ..core.tape import Node
from ..errors import FREED_GRAPH


class FreedNode(Node):
    """The node of a result whose graph was walked through inside the compiled function."""

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        raise RuntimeError(FREED_GRAPH)


class ProgramNode(Node):
    """The node of a compiled function: its backward pass is a program of its own.

    Attributes:
        saved: what the forward program kept for it.
        inputs: the program's inputs, for derivatives of the gradients.
    """

    freed = False

    def __init__(self, program: Any, edges: list[Any], device: Any, saved: Any, inputs: Any):
        super().__init__(program.label, edges, program.live_outputs, device)
        self.program = program
        self.saved = saved
        self.inputs = inputs

    def release(self) -> None:
        self.freed = True
        self.saved = []
        self.inputs = None

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        if self.freed:
            raise RuntimeError(FREED_GRAPH)
        full = [
            np.zeros(info.shape, info.dtype) if g is None else g
            for g, info in zip(gradients, self.outputs, strict=True)
        ]
        if create_graph:
            return apply(self.program.again(), [*(self.inputs or ()), *full])
        return self.program.backward(*self.saved, *full)
