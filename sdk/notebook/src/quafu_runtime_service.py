"""`RuntimeService` of `quafu_runtime`, where the first notebooks import it from."""

from quafu_runtime import RuntimeService

__all__ = ["RuntimeService"]
