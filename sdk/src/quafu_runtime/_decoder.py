"""Turning the bytes of an interim result into a value."""

import json
from typing import Any


class ResultDecoder:
    """How interim results become values for a callback.

    This one reads JSON where it finds it and leaves everything else as the bytes that were
    published. For another encoding derive from it, override `decode` and pass the class as `decoder`.
    """

    @classmethod
    def decode(cls, data: bytes) -> Any:
        """Return the value that `data`, one published message, stands for."""
        try:
            return json.loads(data)
        except ValueError:  # not JSON, or not text at all
            return data
