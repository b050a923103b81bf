"""`Account` of `quafu_runtime`."""

from quafu_runtime import Account

__all__ = ["Account"]
