"""Logs: one JSON object a line on stderr, with the ids of the work at hand in each record.

`bind` puts ids (job_id, request_id, attempt, ...) into every record written inside it, across
awaits; the bus carries `request_id` from the sender of a message to its handler.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from pythonjsonlogger.json import JsonFormatter
from typing_extensions import override

_NONE: Mapping[str, str | int] = MappingProxyType({})
_ids: ContextVar[Mapping[str, str | int]] = ContextVar("qrt_log_ids", default=_NONE)

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s\"']*@")

# Drivers report each lost connection several times over; the chassis says it once.
_NOISY = ("aio_pika", "aiormq", "pymongo", "asyncio", "uvicorn", "httpx", "httpcore", "websockets")


@contextmanager
def bind(**ids: str | int) -> Iterator[None]:
    """Put `ids` into every record written inside the context."""
    token = _ids.set({**_ids.get(), **ids})
    try:
        yield
    finally:
        _ids.reset(token)


def bound(name: str) -> str | int | None:
    """Return the id that `bind` gave under `name`, None outside of one."""
    return _ids.get().get(name)


def configure(service: str, level: str, *, json: bool = True) -> None:
    """Send the logs of this process to stderr, replacing what was configured before.

    Args:
        service: stands in every record.
        level: the least level written, as its name.
        json: one JSON object a line; otherwise text for people.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_WithIds(service))
    handler.setFormatter(_Json() if json else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def without_credentials(text: str) -> str:
    """Return `text` with the user and password of every URL in it blotted out."""
    return _CREDENTIALS.sub("***@", text)


class _WithIds(logging.Filter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        record.service = self._service
        record.ids = _ids.get()
        return True


class _Json(JsonFormatter):
    @override
    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        log_data.update(
            at=datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            level=record.levelname,
            logger=record.name,
            message=record.message,
            **record.__dict__["ids"],
            **message_dict,
        )
        log_data["service"] = record.__dict__["service"]

    @override
    def format(self, record: logging.LogRecord) -> str:
        return without_credentials(super().format(record))


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(service)s: %(message)s", "%H:%M:%S")

    @override
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        head, *rest = text.split("\n", 1)
        ids = "".join(f" {name}={value}" for name, value in record.__dict__["ids"].items())
        return without_credentials("\n".join([head + ids, *rest]))
