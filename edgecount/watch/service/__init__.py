"""The service: cameras to counts, and counts to everybody who is to know."""

from edgecount.watch.service.service import Service
from edgecount.watch.service.subscription import Subscription

__all__ = ["Service", "Subscription"]
