"""An optimiser that works on other parameters for a while."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..core.tensor import Tensor
from .optimizer import Optimizer

_NAME = "swap_in_optimizer_params_and_state"


def _checked(optimizer: Optimizer, given: Any) -> tuple[dict[Any, Any], list[dict[str, Any]]]:
    """State and groups of a state dictionary that fits the optimiser."""
    if not isinstance(given, dict):
        raise RuntimeError(f"{_NAME} requires a DCP-style optimizer state_dict.")
    state, groups = given.get("state"), given.get("param_groups")
    if not isinstance(state, dict):
        raise RuntimeError(
            f"{_NAME} requires swapin_optim_state['state'] to be a dict mapping packed parameter "
            f"ids to per-param state dicts, got {type(state).__name__}."
        )
    if not isinstance(groups, list):
        raise RuntimeError(
            f"{_NAME} requires swapin_optim_state['param_groups'] to be a list of param-group "
            f"dicts, got {type(groups).__name__}."
        )
    if len(groups) != len(optimizer.param_groups):
        raise RuntimeError(
            "swapin_optim_state has a different number of parameter groups than the live optimizer."
        )
    return state, groups


def _group(place: int, live: dict[str, Any], given: dict[str, Any]) -> None:
    """Raise unless the group fits the live one."""
    if "params" not in given:
        raise RuntimeError(
            f"{_NAME} requires optimizer.state_dict()-style param_groups[*]['params'] entries "
            "keyed by packed parameter ids."
        )
    if given.keys() != live.keys():
        raise RuntimeError(
            f"{_NAME} requires optimizer.state_dict()-style param group keys to exactly match the "
            f"live optimizer group keys for group {place}. Keys only in swap-in: "
            f"{sorted(given.keys() - live.keys())}. Keys only in live: "
            f"{sorted(live.keys() - given.keys())}."
        )
    if len(given["params"]) != len(live["params"]):
        raise RuntimeError(
            f"swapin_optim_state param group {place} has a different number of params than the "
            "live optimizer param group."
        )


@contextmanager
def swap_in_optimizer_params_and_state(
    optimizer: Optimizer,
    swapin_parameters: dict[str, Tensor],
    swapin_optim_state: dict[str, Any],
) -> Iterator[None]:
    """Context manager: the optimiser works on other parameters, with other state and settings.

    Its own come back at the end. What is written into the tensors of the state stays there; new
    entries do not.

    Args:
        swapin_parameters: as many as the optimiser has, in its order.
        swapin_optim_state: as `optimizer.state_dict()` gives it.
    """
    if not optimizer.state:
        raise RuntimeError(f"{_NAME} requires initialized optimizer state.")
    state, groups = _checked(optimizer, swapin_optim_state)
    parameters = iter(swapin_parameters.values())
    by_number: dict[Any, Tensor] = {}
    new_groups = []
    for place, (live, given) in enumerate(zip(optimizer.param_groups, groups, strict=True)):
        _group(place, live, given)
        members = []
        for number in given["params"]:
            parameter = next(parameters, None)
            if parameter is None:
                raise RuntimeError(
                    f"{_NAME} requires the explicit parameter state to match "
                    "optimizer.param_groups ordering."
                )
            by_number[number] = parameter
            members.append(parameter)
        new_groups.append({**given, "params": members})
    extra = [key for key in state if key not in by_number]
    if extra:
        raise RuntimeError(
            f"{_NAME} requires swapin_optim_state['state'] to be keyed only by packed parameter "
            f"ids from param_groups[*]['params']; got extra keys {extra}."
        )
    new_state: defaultdict[Any, Any] = defaultdict(dict)
    new_state.update({by_number[key]: dict(entry) for key, entry in state.items()})
    own = optimizer.state, optimizer.param_groups
    optimizer.state, optimizer.param_groups = new_state, new_groups
    try:
        yield
    finally:
        optimizer.state, optimizer.param_groups = own


__all__ = ["swap_in_optimizer_params_and_state"]
