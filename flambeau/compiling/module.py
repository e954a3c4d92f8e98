"""A module whose forward pass is compiled."""

from __future__ import annotations

from typing import Any

from ..nn.modules.module import Module
from .compiled import Compiled


class OptimizedModule(Module):
    """What `compile(module)` gives: the module, called through its compiled form.

    Attributes, `train()` and `eval()` go to the module itself, `_orig_mod`.

    Example::

        >>> import flambeau as torch
        >>> model = torch.compile(torch.nn.Linear(2, 1))
        >>> model(torch.ones(3, 2)).shape
        torch.Size([3, 1])
        >>> list(model.state_dict())
        ['_orig_mod.weight', '_orig_mod.bias']
    """

    _own = frozenset({"_orig_mod", "_compiled", "_settings"})

    def __init__(self, module: Module, settings: dict[str, Any]) -> None:
        super().__init__()
        del self.__dict__["training"]
        self.__dict__["_settings"] = settings
        self._modules["_orig_mod"] = module
        self.__dict__["_compiled"] = Compiled(_ModuleCall(module), **settings)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        module = self._modules["_orig_mod"]
        compiled = self.__dict__.get("_compiled")
        if compiled is None or compiled.function.module is not module:
            assert isinstance(module, Module)
            compiled = Compiled(_ModuleCall(module), **self._settings)
            self.__dict__["_compiled"] = compiled
        return compiled(*args, **kwargs)

    forward = __call__

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":
            return self.__dict__["_modules"]["_orig_mod"]
        return getattr(self.__dict__["_modules"]["_orig_mod"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._own:
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._orig_mod, name)

    def __len__(self) -> int:
        return len(self._orig_mod)

    def train(self, mode: bool = True) -> OptimizedModule:
        """Switch the module to training or evaluation."""
        self._orig_mod.train(mode)
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state.pop("_compiled", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class _ModuleCall:
    """Calls a module, for the walk that looks for what the call can reach."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.__name__ = type(module).__name__
        self.__qualname__ = type(module).__qualname__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        module = self.module
        if "_compiled_call_impl" in module.__dict__:  # `module.compile()` itself came here
            return module._call_impl(*args, **kwargs)
        return module(*args, **kwargs)
