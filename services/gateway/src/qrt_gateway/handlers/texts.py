"""JSON from users, read strictly: nothing is turned into something else on its way to a program."""

import json
import re
from typing import Any, NoReturn

import orjson

from qrt_gateway.domain.texts import MAX_DEPTH
from qrt_gateway.handlers.problems import MalformedBody

_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1


def parsed(body: bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        MalformedBody: it is no JSON (NaN, infinities, lone surrogates and numbers beyond a double
            are not), or holds an integer beyond 64 bits, which would lose digits.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(
            f"the body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    if _LONG_NUMBER.search(body):
        _refuse_long_integers(body)
    return value


def _refuse_long_integers(body: bytes) -> None:
    # orjson reads an integer beyond 64 bits as a double. Digits in strings are no numbers, so the
    # slower parser, which hands over each integer's text, decides.
    try:
        json.loads(body, parse_int=_short_integer)
    except RecursionError:
        raise MalformedBody(f"the body is nested deeper than {MAX_DEPTH} levels") from None


def _short_integer(digits: str) -> int:
    if len(digits) > 20 or not _LEAST <= int(digits) <= _MOST:
        _too_long(digits)
    return 0


def _too_long(digits: str) -> NoReturn:
    raise MalformedBody(
        f"the body holds an integer of {len(digits.lstrip('-'))} digits; integers go from -2^63 to "
        "2^64 - 1: send a larger one as a string"
    )
