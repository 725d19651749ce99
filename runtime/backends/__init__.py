"""Inference engines behind one small interface."""

from edgecount.runtime.backends.base import Backend
from edgecount.runtime.backends.device import DeviceBackend

__all__ = ["Backend", "DeviceBackend"]
