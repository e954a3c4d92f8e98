"""`torch.jit.annotations`: types for arguments that TorchScript broadcasts to lists."""

from __future__ import annotations

from typing import Any


class BroadcastingListCls:
    """`BroadcastingList2[int]` in an annotation: one number, or a list of two."""

    def __getitem__(self, types: Any) -> None:
        return None


BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = BroadcastingListCls()
BroadcastingList4 = BroadcastingList5 = BroadcastingList6 = BroadcastingListCls()
