"""Error classes, and the texts of the errors that several places raise."""

from __future__ import annotations

from collections.abc import Sequence

from .config import config


class LinAlgError(RuntimeError):
    """A linear-algebra routine failed, for example on a singular matrix."""


class OutOfMemoryError(RuntimeError):
    """A device has no memory left."""


class AcceleratorError(RuntimeError):
    """An accelerator reported an error."""


_HINTS = {  # parts of names -> what to do instead
    "fx": "a model is traced as it runs, with flambeau.compile",
    "jit": "run the Python model itself, with flambeau.compile where speed matters",
    "nested": "pad the sequences and pass a mask",
    "onnx": "there is no ONNX writer; jax.export writes StableHLO",
    "profiler": "jax.profiler.trace records what runs",
    "quantization": "bfloat16 is the smallest type that models are trained in",
    "sparse": "keep the data dense",
}


def not_built(name: str) -> str:
    """The message for a name of PyTorch's that is not built, as the program spells it."""
    first, *rest = name.split(".")
    spelled = ".".join([config.namespace if first == "flambeau" else first, *rest])
    hint = next((_HINTS[part] for part in rest if part in _HINTS), None)
    return f"{spelled} is not built; {hint or 'the README of flambeau lists what is'}"


class NotBuilt(NotImplementedError, AttributeError):
    """A name of PyTorch's that is not built here: `hasattr` says so, and using it raises."""

    def __init__(self, name: str) -> None:
        super().__init__(not_built(name))


class ModuleNotBuilt(ModuleNotFoundError, NotImplementedError):
    """A module, or a name in an import, of PyTorch's that is not built here."""

    def __init__(self, name: str) -> None:
        super().__init__(not_built(name), name=name)


OutOfMemoryError.__module__ = AcceleratorError.__module__ = "torch"


def broadcast_shapes(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """The common shape of two operands; RuntimeError where there is none."""
    if tuple(a) == tuple(b):
        return tuple(a)
    ndim = max(len(a), len(b))
    left = (1,) * (ndim - len(a)) + tuple(a)
    right = (1,) * (ndim - len(b)) + tuple(b)
    for i in range(ndim - 1, -1, -1):
        if left[i] != right[i] and left[i] != 1 and right[i] != 1:
            raise RuntimeError(
                f"The size of tensor a ({left[i]}) must match the size of tensor b ({right[i]}) "
                f"at non-singleton dimension {i}"
            )
    return tuple(m if n == 1 else n for m, n in zip(left, right, strict=True))


def dimension(dim: int, ndim: int, *, scalar_ok: bool = True) -> int:
    """`dim` counted from the front; IndexError where it is out of range."""
    size = ndim if ndim or not scalar_ok else 1
    if not -size <= dim < size:
        if size == 0:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-size}, {size - 1}], "
            f"but got {dim})"
        )
    return dim + size if dim < 0 else dim


def argument(function: str, name: str, position: int, expected: str, value: object) -> TypeError:
    """The error for an argument of a wrong type."""
    return TypeError(
        f"{function}(): argument '{name}' (position {position}) must be {expected}, "
        f"not {type(value).__name__}"
    )


LEAF_IN_PLACE = "a leaf Variable that requires grad is being used in an in-place operation."
LEAF_MARKED_DIRTY = "a leaf Variable that requires grad has been used in an in-place operation."
VIEW_OF_LEAF_IN_PLACE = (
    "a view of a leaf Variable that requires grad is being used in an in-place operation."
)
FREED_GRAPH = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward."
)
OVERLAPPING_WRITE = (
    "unsupported operation: more than one element of the written-to tensor refers to a single "
    "memory location. Please clone() the tensor before performing the operation."
)
PARTIAL_OVERLAP = (
    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a "
    "single memory location. Please clone() the tensor before performing the operation."
)
REFERENCE_CYCLE = (
    "Using backward() with create_graph=True will create a reference cycle between the parameter "
    "and its gradient which can cause a memory leak. We recommend using autograd.grad when "
    "creating the graph to avoid this. If you have to use this function, make sure to reset the "
    ".grad fields of your parameters to None after use to break the cycle and avoid the leak."
)
NO_GRAD_ROOT = "element {} of tensors does not require grad and does not have a grad_fn"
INFERENCE_SAVED = (
    "Inference tensors cannot be saved for backward. Please do not use Tensors created in "
    "inference mode in computation tracked by autograd. To work around this, you can make a clone "
    "to get a normal tensor and use it in autograd, or use `torch.no_grad()` instead of "
    "`torch.inference_mode()`."
)
CAPTURED_IN_PLACE = (
    "During a grad (vjp, jvp, grad, etc) transform, the function provided attempted to call "
    "in-place operation (aten::{name}) that would mutate a captured Tensor. This is not supported; "
    "please rewrite the function being transformed to explicitly accept the mutated Tensor(s) as "
    "inputs."
)
ESCAPED = (
    "Either your tensor may have escaped from inside a function being vmapped and this is a user "
    "error (see https://pytorch.org/functorch/stable/ux_limitations.html), or there is an internal "
    "functorch error in `gen_vmap_plumbing` Please file an issue if it looks like the latter"
)
BATCHED_IN_PLACE = (
    "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor "
    "`other` in extra_args that has more elements than `self`. This happened due to `other` being "
    "vmapped over but `self` not being vmapped over in a vmap. Please try to use out-of-place "
    "operators instead of inplace arithmetic. If said operator is being called inside the PyTorch "
    "framework, please file a bug report instead."
)
BATCHED_ITEM = (
    "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling "
    ".item() on a Tensor, please try to rewrite what you're doing with other operations. If error "
    "is occurring somewhere inside PyTorch internals, please file a bug report."
)
BATCHED_CONTROL_FLOW = (
    "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We "
    "don't support that yet, please file an issue at https://github.com/pytorch/pytorch/issues ."
)
NO_DATA_POINTER = "Cannot access data pointer of Tensor that doesn't have storage"
BATCHED_MASK = (
    "vmap: We do not support batching operators that can support dynamic shape. Attempting to "
    "batch over indexing with a boolean mask."
)
BATCHED_DYNAMIC = (
    "vmap: We do not support batching operators that can output dynamic shape. Attempted to vmap "
    "over aten::{}. Please file an issue at https://github.com/pytorch/pytorch/issues if you need "
    "this feature."
)
RANDOM_IN_ERROR_MODE = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
    "'different' randomness flags on vmap or perform the randomness operation out of vmap"
)
SAME_FOR_BATCHED = (
    "Vmap does not currently support same randomness with a batched tensor input. Please file an "
    "issue with functorch"
)
UNBATCHED_RANDOM = (
    "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will appear "
    "like same randomness. If this is necessary for your usage, please file an issue with "
    "functorch."
)
BACKWARD_IN_TRANSFORM = (
    "backward() called inside a functorch transform. This is not supported, please use "
    "functorch.grad or functorch.vjp instead or call backward() outside of functorch transforms."
)
REQUIRES_GRAD_IN_TRANSFORM = (
    "You are attempting to call Tensor.requires_grad_() (or perhaps using "
    "torch.autograd.functional.* APIs) inside of a function being transformed by a functorch "
    "transform. This is unsupported, please attempt to use the functorch transforms (e.g. grad, "
    "vjp, jacrev, jacfwd, hessian) or call requires_grad_() outside of a function being "
    "transformed instead."
)
FUNCTION_NEEDS_SETUP_CONTEXT = (
    "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, "
    "...), it must override the setup_context staticmethod. For more details, please see "
    "https://pytorch.org/docs/main/notes/extending.func.html"
)
FUNCTION_VMAP_MISSING = (
    "You tried to vmap over {name}, but it does not have vmap support. Please override and "
    "implement the vmap staticmethod or set generate_vmap_rule=True. For more details, please see "
    "https://pytorch.org/docs/main/notes/extending.func.html"
)
FUNCTION_VMAP_AMBIGUOUS = (
    "You tried to vmap over {name}, but it has both generate_vmap_rule=True and an overridden vmap "
    "staticmethod. Please set generate_vmap_rule=False or delete the overridden vmap staticmethod "
    "to avoid ambiguity. For more details, please see "
    "https://pytorch.org/docs/main/notes/extending.func.html"
)
FUNCTION_VMAP_RESULT = (
    "Expected the vmap staticmethod to have two returns, an output and out_dims with pytree "
    "structure compatible with the output. Got a {kind} instead"
)
BATCHED_STATISTICS = (
    "Batch norm got a batched tensor as input while the running_mean or running_var, which will be "
    "updated in place, were not batched.\nIf you are using a module and do not need eval mode, "
    "please set `track_running_stats` to be False.If you are using a prebuilt module and do not "
    "need eval mode, please see the functorch website for resources on how to patch your module "
    "to work with vmap"
)
