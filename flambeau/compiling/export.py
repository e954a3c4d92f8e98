"""`flambeau.export`: a model as a StableHLO artefact that runs without the model's code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.export

from ..core.modes import no_grad
from ..core.tensor import Tensor, wrap


class Exported:
    """A model's forward pass, weights included, as XLA takes it.

    Example::

        >>> import flambeau as torch
        >>> model = torch.nn.Linear(2, 1)
        >>> artefact = torch.export(model, (torch.ones(3, 2),))
        >>> artefact(torch.ones(5, 2)).shape
        torch.Size([5, 1])
    """

    def __init__(self, exported: jax.export.Exported) -> None:
        self.exported = exported

    def __call__(self, *args: Tensor) -> Any:
        results = self.exported.call(*(a._on_device() for a in args))
        return jax.tree.map(wrap, results)

    def save(self, path: Any) -> None:
        """Write the artefact to a file (needs the package flatbuffers, the extra `export`)."""
        Path(path).write_bytes(self.exported.serialize())

    @property
    def stablehlo(self) -> str:
        """The program as text."""
        return self.exported.mlir_module()


def export(
    model: Callable[..., Any], args: tuple[Tensor, ...], *, dynamic_batch: bool = True
) -> Exported:
    """The forward pass of a model (without gradients) for arguments like `args`.

    Args:
        model: a module, in the mode that it is in, or a function of tensors.
        args: example arguments; their values do not matter.
        dynamic_batch: let the first axis of every argument have any size, the same for all.

    Returns:
        What can be called on tensors, and saved; `export.load(path)` reads it back.

    Raises:
        RuntimeError: where the model computes with the size of the batch as with a number; with
            `dynamic_batch=False` the sizes are those of `args`.
    """
    if not all(isinstance(a, Tensor) for a in args):
        raise TypeError(f"export takes tensors as arguments, not {[type(a) for a in args]}")
    scope = jax.export.SymbolicScope()

    def described(x: Tensor) -> jax.ShapeDtypeStruct:
        shape: Any = x._dims()
        if dynamic_batch and shape:
            spelled = ", ".join(["batch", *map(str, shape[1:])])
            shape = jax.export.symbolic_shape(spelled, scope=scope)
        return jax.ShapeDtypeStruct(shape, x._dtype_numpy())

    def call(*arrays: Any) -> Any:
        with no_grad():
            results = model(*(wrap(a) for a in arrays))
        return jax.tree.map(lambda t: t._array(), results, is_leaf=lambda t: isinstance(t, Tensor))

    with no_grad():
        model(*args)  # raises for the user's mistakes, and prepares lazy layers
    try:
        return Exported(jax.export.export(jax.jit(call))(*map(described, args)))
    except (TypeError, ValueError, jax.errors.JAXTypeError) as error:
        if not dynamic_batch:
            raise
        raise RuntimeError(
            "export: this model computes with the size of the batch as with a number "
            f"({str(error).splitlines()[0]}); use dynamic_batch=False"
        ) from None


def load(path: Any) -> Exported:
    """An artefact that `Exported.save` wrote."""
    return Exported(jax.export.deserialize(bytearray(Path(path).read_bytes())))


export.load = load  # type: ignore[attr-defined]
export.export = export  # type: ignore[attr-defined]
