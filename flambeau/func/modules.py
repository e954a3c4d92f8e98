"""Modules as functions of their parameters and buffers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..nn.modules.batchnorm import _BatchNorm
from ..nn.modules.module import Module
from ..nn.utils import stateless
from ..ops.joining import stack


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with the given parameters and buffers in place of its own.

    Args:
        parameter_and_buffer_dicts: tensors by name, in a dictionary or several.
        args: the positional arguments, as a tuple; or a single one.
        kwargs: the keyword arguments.
        tie_weights: a tensor given for one of several tied parameters stands for all of them.
        strict: raise where the names are not exactly those of the module.

    >>> import flambeau as torch
    >>> layer = torch.nn.Linear(2, 1)
    >>> tensors = {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}
    >>> torch.func.functional_call(layer, tensors, torch.tensor([1.0, 2.0]))
    tensor([3.])
    """
    given = parameter_and_buffer_dicts
    if isinstance(given, (list, tuple)):
        if not all(isinstance(d, dict) for d in given):
            raise ValueError(
                "Expected all elements of parameter_and_buffer_dicts to be dictionaries"
            )
        names = [name for d in given for name in d]
        repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if repeated:
            raise ValueError(
                f"{repeated} appeared in multiple dictionaries; behavior of functional call is "
                "ambiguous"
            )
        given = {name: value for d in given for name, value in d.items()}
    elif not isinstance(given, dict):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(given)}"
        )
    return stateless._functional_call(
        module, given, args, kwargs, tie_weights=tie_weights, strict=strict
    )


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters of several modules of one kind, and their buffers, stacked by name.

    Args:
        models: modules of the same class, in the same mode.

    Returns:
        Parameters and buffers, each with a leading axis for the modules, for `vmap` over
        `functional_call`.

    >>> import flambeau as torch
    >>> layers = [torch.nn.Linear(2, 1) for _ in range(3)]
    >>> parameters, buffers = torch.func.stack_module_state(layers)
    >>> parameters["weight"].shape
    torch.Size([3, 1, 2])
    """
    if len(models) == 0:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all(m.training for m in models) or all(not m.training for m in models)):
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if not all(type(m) is type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return _stacked(parameters), _stacked(buffers)


def _stacked(tables: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: _stack_of(name, [table[name] for table in tables]) for name in tables[0]}


def _stack_of(name: str, tensors: list[Any]) -> Any:
    needs = tensors[0].requires_grad
    if any(t.requires_grad != needs for t in tensors):
        raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
    if needs and all(t.is_leaf for t in tensors):
        return stack([t.detach() for t in tensors], 0).requires_grad_()
    return stack(tensors, 0)


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Let all batch norms below `root` use the statistics of the batch alone, in place.

    Running statistics are updated in place, which `vmap` cannot do.
    """
    for module in root.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = None
            module.running_var = None
            module.num_batches_tracked = None
            module.track_running_stats = False
    return root
