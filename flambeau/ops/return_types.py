"""Named results of functions that return several tensors, as `torch.return_types.max`."""

from __future__ import annotations

from typing import Any


class NamedResult(tuple):
    """A tuple with field names, printed as PyTorch prints it."""

    _fields: tuple[str, ...] = ()

    def __new__(cls, values: Any) -> NamedResult:
        return tuple.__new__(cls, values)

    def __repr__(self) -> str:
        parts = ",\n".join(f"{f}={v!r}" for f, v in zip(self._fields, self, strict=True))
        return f"torch.return_types.{type(self).__name__}(\n{parts})"

    def __reduce__(self) -> Any:
        return _rebuild, (type(self).__name__, self._fields, tuple(self))

    @property
    def n_fields(self) -> int:
        """The number of fields."""
        return len(self._fields)

    n_sequence_fields = n_fields


TYPES: dict[str, type[NamedResult]] = {}


def named_result(name: str, fields: tuple[str, ...]) -> type[NamedResult]:
    """The result type of the function `name`, made once."""
    found = TYPES.get(name)
    if found is None:
        members: dict[str, Any] = {
            "_fields": fields,
            "__match_args__": fields,
            "__module__": "torch.return_types",
        }
        for i, field in enumerate(fields):
            members[field] = property(lambda self, i=i: self[i])
        found = TYPES[name] = type(name, (NamedResult,), members)
    return found


def _rebuild(name: str, fields: tuple[str, ...], values: tuple[Any, ...]) -> NamedResult:
    return named_result(name, fields)(values)
