"""`torch.storage`: the memory of tensors as objects."""

from .ops.storages import TypedStorage, UntypedStorage

__all__ = ["TypedStorage", "UntypedStorage"]
