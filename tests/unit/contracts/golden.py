"""Golden examples of the codec: a Python expression and the JSON it is written as."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from pydantic import BaseModel

FILE = Path(__file__).parents[2] / "data" / "codec.json"


@dataclass(frozen=True)
class Point:
    """A program's own dataclass."""

    x: int
    y: complex


class Model(BaseModel):
    """A program's own model."""

    name: str
    tags: set[str]


class Color(Enum):
    """A program's own enumeration."""

    RED = "red"


NAMES: dict[str, Any] = {
    each.__name__: each
    for each in (Counter, date, datetime, time, timedelta, timezone, Decimal, UUID, Point, Model, Color)
} | {"np": np}

ONE_WAY = ("Point", "Model", "Color", "(1, (2", "bytearray")
"""What reads back as something else: fields as dicts, tuples as lists, an enum as its value."""


def golden() -> list[tuple[str, Any, Any]]:
    """Return (expression, its value, its JSON) of each example."""
    return [
        (each["python"], eval(each["python"], dict(NAMES)), each["json"])
        for each in json.loads(FILE.read_text())
    ]
