"""JSON values as texts."""

from typing import Any

import orjson

from qrt_contracts.faults import InvalidRequest

MAX_DEPTH = 254
"""Arrays and objects inside one another, the outermost counted."""


def text_of(value: Any) -> str:
    """Return the JSON text of what `parsed` returned.

    Raises:
        InvalidRequest: it is nested too deeply.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        raise InvalidRequest(f"the input is nested deeper than {MAX_DEPTH} levels", field="input") from None


def canonical(value: Any) -> bytes:
    """Return a JSON text that is equal for equal values, whatever the order of their keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
