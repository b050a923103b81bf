"""The problem document that a failed template program leaves as its `output.json`."""

import json
from typing import Any

from qrt_runner import project
from qrt_runner.failures import Failure, claim
from qrt_runner.plain import written

_STATUS = {"InvalidInput": 422}
_RESERVED = frozenset({"type", "title", "detail", "status", "instance", "code"})


def write(exc: BaseException) -> None:
    """Write the document of an exception in place of `output.json`. A program that exits writes its own."""
    if isinstance(exc, SystemExit):
        return
    try:
        project.write_output("output.json", json.dumps(document(exc), indent=2))
    except Exception:  # noqa: BLE001 - the exception's own parts may raise; the claim tells of it in any case
        return


def document(exc: BaseException) -> dict[str, Any]:
    """Return what RFC 9457 makes of an exception.

    An exception with `title`, `detail` and `extensions` of its own, like the vendor's HandlerError, says
    with them what stands there; the extensions are members of the document.
    """
    code, detail, _ = claim(exc)
    found: dict[str, Any] = {"type": "about:blank", "status": _STATUS.get(code, 500)}
    if isinstance(exc, Failure):
        cause = exc.cause
        found |= {"title": code if cause is None else type(cause).__name__, "detail": detail, "code": code}
        if exc.errors:
            found["errors"] = [{"pointer": pointer, "detail": reason} for pointer, reason in exc.errors]
        return found
    title = _text(exc, "title") or type(exc).__name__
    found |= {"title": title, "detail": _text(exc, "detail") or str(exc) or title, "code": code}
    extensions = getattr(exc, "extensions", None)
    if isinstance(extensions, dict):
        plain = json.loads(written(extensions).text)
        found |= {name: value for name, value in plain.items() if name not in _RESERVED}
    return found


def _text(exc: BaseException, name: str) -> str | None:
    value = getattr(exc, name, None)
    return value if isinstance(value, str) and value else None
