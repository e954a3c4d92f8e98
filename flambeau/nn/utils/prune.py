"""Pruning: parameters of which some elements are kept at 0 by a mask.

A pruned parameter `weight` becomes the parameter `weight_orig` and the buffer `weight_mask`, and
`weight` is their product, computed anew before each `forward`.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from ...core.tensor import Tensor
from ...ops.registry import FUNCTIONS
from ..modules.module import Module


class BasePruningMethod(ABC):
    """A rule which elements of a parameter to set to 0, and the hook that does it.

    A subclass says in `PRUNING_TYPE` what a second pruning of the same parameter looks at, and in
    `compute_mask` which elements go.

    Attributes:
        PRUNING_TYPE: `"unstructured"`, the elements that are still there; `"structured"`, the
            slices along `dim` of which something is still there; `"global"`, the whole tensor.
    """

    _tensor_name: str
    PRUNING_TYPE: str

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask for a tensor of importances `t`, in addition to `default_mask`."""

    def apply_mask(self, module: Module) -> Tensor:
        """The product of the original parameter and the mask."""
        if self._tensor_name is None:
            raise AssertionError(f"Module {module} has to be pruned")
        mask = getattr(module, self._tensor_name + "_mask")
        original = getattr(module, self._tensor_name + "_orig")
        return mask.to(dtype=original.dtype) * original

    @classmethod
    def apply(
        cls,
        module: Any,
        name: str,
        *args: Any,
        importance_scores: Tensor | None = None,
        **kwargs: Any,
    ) -> BasePruningMethod:
        """Prune a parameter of a module.

        Args:
            module: the owner of the parameter.
            name: the parameter's name; a parameter that was pruned before is pruned further.
            args, kwargs: the arguments of the method's constructor.
            importance_scores: what the mask is computed from instead of the parameter's values.

        Returns:
            The hook on the module.
        """
        method: BasePruningMethod = cls(*args, **kwargs)
        method._tensor_name = name
        earlier = _taken_hook(module, name)
        if earlier is not None:
            if not isinstance(earlier, PruningContainer):
                earlier = PruningContainer(earlier)
            earlier.add_pruning_method(method)
            method = earlier
        present = getattr(module, name)
        if importance_scores is None:
            importance_scores = present
        elif importance_scores.shape != present.shape:
            raise AssertionError(
                "importance_scores should have the same shape as parameter "
                f"{name} of {module}, got {importance_scores.shape} vs {present.shape}"
            )
        if earlier is None:
            module.register_parameter(name + "_orig", present)
            del module._parameters[name]
            default_mask = FUNCTIONS["ones_like"](present)
        else:
            default_mask = getattr(module, name + "_mask").detach().clone()
        try:
            mask = method.compute_mask(importance_scores, default_mask=default_mask)  # type: ignore[arg-type]
            module.register_buffer(name + "_mask", mask)
            setattr(module, name, method.apply_mask(module))
            module.register_forward_pre_hook(method)
        except Exception:
            if earlier is None:
                original = getattr(module, name + "_orig")
                module.register_parameter(name, original)
                del module._parameters[name + "_orig"]
            raise
        return method

    def prune(
        self,
        t: Any,
        default_mask: Tensor | None = None,
        importance_scores: Tensor | None = None,
    ) -> Tensor:
        """`t` with the elements that the rule names set to 0; `t` itself is not changed.

        Args:
            t: the tensor.
            default_mask: a mask to start from; by default one of ones.
            importance_scores: what the mask is computed from instead of `t`.
        """
        if importance_scores is None:
            importance_scores = t
        elif importance_scores.shape != t.shape:
            raise AssertionError(
                "importance_scores should have the same shape as tensor t, got "
                f"{importance_scores.shape} vs {t.shape}"
            )
        start = FUNCTIONS["ones_like"](t) if default_mask is None else default_mask
        return t * self.compute_mask(importance_scores, default_mask=start)  # type: ignore[arg-type]

    def remove(self, module: Any) -> None:
        """Make the product of parameter and mask the parameter; the hook stays."""
        name = self._tensor_name
        weight = self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        original = module._parameters.pop(name + "_orig")
        original.data = weight.data
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


def _taken_hook(module: Module, name: str) -> BasePruningMethod | None:
    """The hook that prunes a parameter, taken from the module; None where there is none."""
    hooks = module._forward_pre_hooks
    found = [
        key
        for key, hook in hooks.items()
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name
    ]
    if len(found) > 1:
        raise AssertionError(
            f"Avoid adding multiple pruning hooks to the same tensor {name} of module {module}. "
            "Use a PruningContainer."
        )
    return hooks.pop(found[0]) if found else None


class PruningContainer(BasePruningMethod):
    """Several pruning methods of one parameter, applied in order."""

    def __init__(self, *args: Any) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if len(args) == 1 and not isinstance(args[0], Iterable):
            self._tensor_name = args[0]._tensor_name
            self.add_pruning_method(args[0])
            return
        listed = args[0] if len(args) == 1 else args
        for method in listed:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod | None) -> None:
        """Add a method; it must prune the same parameter."""
        if not isinstance(method, BasePruningMethod) and method is not None:
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                f"Can only add pruning methods acting on the parameter named '{self._tensor_name}'"
                f" to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)  # type: ignore[operator]

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: int) -> BasePruningMethod:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask with what the last method takes from the part of `t` that is still there."""
        method: Any = self._pruning_methods[-1]
        mask = default_mask.to(dtype=t.dtype)  # type: ignore[attr-defined]
        mask = mask.clone() if mask is default_mask else mask
        if method.PRUNING_TYPE == "unstructured":
            part: Any = mask == 1
        elif method.PRUNING_TYPE == "structured":
            dim = method.dim + t.ndim if method.dim < 0 else method.dim
            others = tuple(d for d in range(t.ndim) if d != dim)
            part = (*[slice(None)] * dim, mask.sum(dim=others) != 0)
        elif method.PRUNING_TYPE == "global":
            part = (slice(None),) * t.ndim
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        taken: Any = t[part]  # type: ignore[index]
        mask[part] = method.compute_mask(taken, default_mask=mask[part]).to(dtype=mask.dtype)
        return mask


class Identity(BasePruningMethod):
    """Prunes nothing."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask`"""
        return default_mask

    @classmethod
    def apply(cls, module: Any, name: str) -> BasePruningMethod:  # type: ignore[override]
        """Give a parameter the form of a pruned one."""
        return super().apply(module, name)


class _ByAmount(BasePruningMethod):
    """A method that prunes a number, or a fraction, of elements or slices."""

    amount: Any

    def _count(self, size: int) -> int:
        """How many of `size` go."""
        count = _compute_nparams_toprune(self.amount, size)
        _validate_pruning_amount(count, size)
        return count


class RandomUnstructured(_ByAmount):
    """Prunes elements at random.

    Args:
        amount: how many, or, if it is a float, which fraction.
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Any) -> None:
        _validate_pruning_amount_init(amount)
        self.amount = amount

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` without as many elements of `t`, each equally likely."""
        count = self._count(t.nelement())  # type: ignore[attr-defined]
        return _without(default_mask, lambda: FUNCTIONS["rand_like"](t), count, largest=True)

    @classmethod
    def apply(cls, module: Any, name: str, amount: Any) -> BasePruningMethod:  # type: ignore[override]
        """Prune a parameter of a module."""
        return super().apply(module, name, amount=amount)


class L1Unstructured(_ByAmount):
    """Prunes the elements of least absolute value.

    Args:
        amount: how many, or, if it is a float, which fraction.
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Any) -> None:
        _validate_pruning_amount_init(amount)
        self.amount = amount

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` without the elements where |t| is least."""
        count = self._count(t.nelement())  # type: ignore[attr-defined]
        return _without(default_mask, lambda: FUNCTIONS["abs"](t), count, largest=False)

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: Any, name: str, amount: Any, importance_scores: Tensor | None = None
    ) -> BasePruningMethod:
        """Prune a parameter of a module."""
        return super().apply(module, name, amount=amount, importance_scores=importance_scores)


def _without(mask: Any, scores: Any, count: int, *, largest: bool) -> Any:
    """A mask without the elements that have the largest, or the smallest, scores."""
    result = mask.clone()
    if count != 0:
        chosen = FUNCTIONS["topk"](scores().reshape(-1), k=count, largest=largest)
        result.view(-1)[chosen.indices] = 0
    return result


class RandomStructured(_ByAmount):
    """Prunes slices at random.

    Args:
        amount: how many, or, if it is a float, which fraction.
        dim: the dimension that slices are counted along.
    """

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Any, dim: int = -1) -> None:
        _validate_pruning_amount_init(amount)
        self.amount = amount
        self.dim = dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` without as many slices, each equally likely."""
        _validate_structured_pruning(t)
        _validate_pruning_dim(t, self.dim)
        size = t._dims()[self.dim]
        count = self._count(size)
        if count == 0:
            return default_mask
        draws = FUNCTIONS["rand"](size)
        kept = draws > FUNCTIONS["kthvalue"](draws, k=count).values
        return default_mask * _spread(kept, t, self.dim)

    @classmethod
    def apply(cls, module: Any, name: str, amount: Any, dim: int = -1) -> BasePruningMethod:  # type: ignore[override]
        """Prune a parameter of a module."""
        return super().apply(module, name, amount=amount, dim=dim)


class LnStructured(_ByAmount):
    """Prunes the slices of least norm.

    Args:
        amount: how many, or, if it is a float, which fraction.
        n: which norm, as in `torch.norm`.
        dim: the dimension that slices are counted along.
    """

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Any, n: Any, dim: int = -1) -> None:
        _validate_pruning_amount_init(amount)
        self.amount = amount
        self.n = n
        self.dim = dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` without the slices of least norm."""
        _validate_structured_pruning(t)
        _validate_pruning_dim(t, self.dim)
        size = t._dims()[self.dim]
        count = self._count(size)
        if count == 0:
            return default_mask
        norms = _compute_norm(t, self.n, self.dim)
        largest = FUNCTIONS["topk"](norms, k=size - count, largest=True)
        kept = FUNCTIONS["zeros_like"](norms)
        kept[largest.indices] = 1
        return default_mask * _spread(kept, t, self.dim)

    @classmethod
    def apply(  # type: ignore[override]
        cls,
        module: Any,
        name: str,
        amount: Any,
        n: Any,
        dim: int,
        importance_scores: Tensor | None = None,
    ) -> BasePruningMethod:
        """Prune a parameter of a module."""
        return super().apply(
            module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores
        )


def _spread(kept: Any, t: Tensor, dim: int) -> Any:
    """One value a slice along `dim`, as a tensor that broadcasts to `t`."""
    shape = [1] * t.ndim
    shape[dim] = -1
    return kept.to(dtype=t.dtype).reshape(shape)


class CustomFromMask(BasePruningMethod):
    """Prunes what a given mask says."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The product of `default_mask` and the given one."""
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"default_mask shape {default_mask.shape} must match self.mask shape "
                f"{self.mask.shape}"
            )
        return default_mask * self.mask.to(dtype=default_mask.dtype)

    @classmethod
    def apply(cls, module: Any, name: str, mask: Any) -> BasePruningMethod:  # type: ignore[override]
        """Prune a parameter of a module."""
        return super().apply(module, name, mask=mask)


def identity(module: Any, name: str) -> Any:
    """Give a parameter the form of a pruned one, without pruning it; returns the module.

    >>> sorted(nn.utils.prune.identity(nn.Linear(2, 1), "bias").state_dict())
    ['bias_mask', 'bias_orig', 'weight']
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: Any, name: str, amount: Any) -> Any:
    """Set `amount` elements (a float: this fraction) to 0 at random; returns the module."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: Any, name: str, amount: Any, importance_scores: Tensor | None = None
) -> Any:
    """Set the `amount` smallest elements (a float: this fraction) to 0; returns the module.

    >>> layer = nn.utils.prune.l1_unstructured(nn.Linear(4, 2), "weight", amount=3)
    >>> (layer.weight == 0).sum()
    tensor(3)
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Any, name: str, amount: Any, dim: int) -> Any:
    """Set `amount` slices along `dim` (a float: this fraction) to 0 at random.

    Returns the module.
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Any,
    name: str,
    amount: Any,
    n: Any,
    dim: int,
    importance_scores: Tensor | None = None,
) -> Any:
    """Set the `amount` slices along `dim` (a float: this fraction) of least `n`-norm to 0.

    Returns the module.
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def global_unstructured(
    parameters: Any,
    pruning_method: Any,
    importance_scores: Any = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters as if they were one tensor.

    Args:
        parameters: pairs of a module and a parameter's name.
        pruning_method: an unstructured method's class.
        importance_scores: what the mask is computed from instead of the values, by such pairs.
        kwargs: the arguments of the method's constructor.

    Example::

        >>> net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
        >>> pairs = [(net[0], "weight"), (net[1], "weight")]
        >>> nn.utils.prune.global_unstructured(pairs, nn.utils.prune.L1Unstructured, amount=9)
        >>> sum(int((layer.weight == 0).sum()) for layer in net)
        9
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    importance_scores = {} if importance_scores is None else importance_scores
    if not isinstance(importance_scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    named: list[tuple[Any, str]] = [(module, name) for module, name in parameters]
    cat = FUNCTIONS["cat"]
    present = [getattr(module, name) for module, name in named]
    scores = [importance_scores.get(pair, t) for pair, t in zip(named, present, strict=True)]
    masks = [
        getattr(module, name + "_mask", FUNCTIONS["ones_like"](t))
        for (module, name), t in zip(named, present, strict=True)
    ]
    scores_vector = cat([t.reshape(-1) for t in scores])
    masks_vector = cat([t.reshape(-1) for t in masks])
    container = PruningContainer()
    container._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    container.add_pruning_method(method)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {method.PRUNING_TYPE}"
        )
    final = container.compute_mask(scores_vector, masks_vector)
    start = 0
    for (module, name), t in zip(named, present, strict=True):
        custom_from_mask(module, name, final[start : start + t.numel()].view_as(t))  # type: ignore[index]
        start += t.numel()


def custom_from_mask(module: Any, name: str, mask: Any) -> Any:
    """Set the elements of a parameter where `mask` is 0 to 0; returns the module.

    >>> nn.utils.prune.custom_from_mask(nn.Linear(2, 3), "bias", torch.tensor([0, 1, 0])).bias_mask
    tensor([0., 1., 0.])
    """
    CustomFromMask.apply(module, name, mask)
    return module


def remove(module: Any, name: str) -> Any:
    """Make a pruned parameter a plain one, its pruned elements 0; returns the module.

    Raises:
        ValueError: the parameter is not pruned.
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(
        f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
    )


def is_pruned(module: Any) -> bool:
    """Whether any parameter of the module, or of one below it, is pruned."""
    return any(
        isinstance(hook, BasePruningMethod)
        for _, submodule in module.named_modules()
        for hook in submodule._forward_pre_hooks.values()
    )


def _validate_pruning_amount_init(amount: Any) -> None:
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if (isinstance(amount, numbers.Integral) and amount < 0) or (
        not isinstance(amount, numbers.Integral) and not 0.0 <= float(amount) <= 1.0
    ):
        raise ValueError(
            f"amount={amount} should either be a float in the range [0, 1] or a non-negative "
            "integer"
        )


def _validate_pruning_amount(amount: Any, tensor_size: int) -> None:
    if isinstance(amount, numbers.Integral) and int(amount) > tensor_size:
        raise ValueError(
            f"amount={amount} should be smaller than the number of parameters to prune="
            f"{tensor_size}"
        )


def _validate_structured_pruning(t: Tensor) -> None:
    if t.ndim <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. Found tensor of "
            f"shape {t.shape} with {t.ndim} dims"
        )


def _validate_pruning_dim(t: Tensor, dim: int) -> None:
    if dim >= t.ndim:
        raise IndexError(f"Invalid index {dim} for tensor of size {t.shape}")


def _compute_nparams_toprune(amount: Any, tensor_size: int) -> int:
    if isinstance(amount, numbers.Integral):
        return amount  # type: ignore[return-value]
    return round(amount * tensor_size)


def _compute_norm(t: Any, n: Any, dim: int) -> Any:
    """One norm for each index of `dim`."""
    dim = dim + t.ndim if dim < 0 else dim
    others = [d for d in range(t.ndim) if d != dim]
    return FUNCTIONS["norm"](t, p=n, dim=others)
