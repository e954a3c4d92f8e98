"""`torch.autograd.anomaly_mode`: finding where a NaN of a backward pass comes from."""

from ..core.modes import detect_anomaly, set_detect_anomaly

__all__ = ["detect_anomaly", "set_detect_anomaly"]
