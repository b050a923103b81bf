"""`Job` of `quafu_runtime`."""

from quafu_runtime import Job

__all__ = ["Job"]
