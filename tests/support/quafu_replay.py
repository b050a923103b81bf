"""Replays recorded conversations of Quafu clients, and compares the answers to the letter."""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

DATA = Path(__file__).parents[1] / "data" / "quafu"
SOURCE = (DATA / "hello.py").read_text()
GMT = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
    r"\d\d:\d\d:\d\d GMT"
)


class Driver(Protocol):
    """What stands between a recording and a gateway."""

    token: str

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request with its path as it is; return HTTP status, headers and body."""

    async def until(self, state: str, job_id: str) -> None:
        """Wait until, or see to it that, a job is in this state."""


async def replay(name: str, driver: Driver) -> None:
    """Replay one recording."""
    known: dict[str, str] = {}
    for number, step in enumerate(json.loads((DATA / f"{name}.json").read_text())["steps"]):
        if "until" in step:
            await driver.until(step["until"], _filled(step["job"], driver, known))
            continue
        asked = _filled(step["send"], driver, known)
        body = json.dumps(asked["json"]).encode() if "json" in asked else None
        status, headers, raw = await driver.send(asked["method"], asked["path"], asked["headers"], body)
        where = f"step {number}: {asked['method']} {asked['path']} -> {status} {raw[:500]!r}"
        assert status == step["expect"]["http"], where
        assert headers["cache-control"] == "no-store", where
        _compare(_filled(step["expect"]["body"], driver, known), json.loads(raw), known, where)


def _filled(value: Any, driver: Driver, known: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, driver, known) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, driver, known) for each in value]
    if not isinstance(value, str):
        return value
    value = value.replace("<token>", driver.token)
    value = value.replace("<base64:source>", base64.b64encode(SOURCE.encode()).decode())
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], found[0]), value)


def _compare(expected: Any, actual: Any, known: dict[str, str], where: str) -> None:
    if isinstance(expected, dict):
        assert isinstance(actual, dict), where
        assert list(actual) == list(expected), where
        for key, value in expected.items():
            _compare(value, actual[key], known, f"{where} at {key}")
    elif isinstance(expected, list):
        assert len(actual) == len(expected), where
        for one, other in zip(expected, actual, strict=True):
            _compare(one, other, known, where)
    elif expected == "<gmt>":
        assert GMT.fullmatch(actual), where
    elif expected == "<text>":
        assert isinstance(actual, str), where
        assert actual, where
    elif isinstance(expected, str) and (named := re.fullmatch(r"<hex:(\w+)>", expected)):
        assert re.fullmatch(r"[0-9a-f]{32}", actual), where
        known[named[1]] = actual
    else:
        assert (actual, type(actual)) == (expected, type(expected)), where
