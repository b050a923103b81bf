"""`planqk.json`: what a project says of itself."""

import json
from typing import Any

from qrt_registry.adapters.projects.archive import Files
from qrt_registry.adapters.projects.unfit import Unfit

NAME = "planqk.json"
MAX_BYTES = 64 << 10
GIB = 1 << 30
_LEAST_MEMORY = 64 << 20
_MOST_CPUS = 1024
_MOST_GPUS = 64
_MOST_MEMORY = 1 << 50
_KINDS = {"PYTHON_TEMPLATE": "template", "DOCKER": "container"}
Report = dict[str, Any]


def manifest_of(files: Files) -> Report:
    """Return `kind`, `name`, `description` and `resources`, as far as the project says them.

    Raises:
        Unfit: it is malformed; the text names the field.
    """
    if NAME not in files:
        return {}
    document = _document(files[NAME].data)
    found = {
        "kind": _runtime(document.get("runtime")),
        "name": _name(document),
        "description": _text(document, "description", most=20_000),
        "resources": _resources(document.get("resources")),
    }
    return {name: value for name, value in found.items() if value is not None}


def _document(data: bytes) -> Report:
    if len(data) > MAX_BYTES:
        raise _unfit(f"it has more than {MAX_BYTES} bytes")
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise _unfit("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Unfit(f"it is no JSON: {error.msg}", file=NAME, line=error.lineno, column=error.colno) from None
    except (ValueError, RecursionError):
        raise _unfit("it is no JSON that can be read") from None
    if not isinstance(document, dict):
        raise _unfit("it must be a JSON object")
    return document


def _name(document: Report) -> str | None:
    name = _text(document, "name", most=128)
    if name is not None and (not name.isprintable() or "/" in name or "\\" in name):
        raise _unfit("`name` must be printable, without slashes")
    return name


def _text(document: Report, name: str, *, most: int) -> str | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > most or not _is_unicode(value):
        raise _unfit(f"`{name}` must be a text of at most {most} characters")
    return value.strip() or None  # the vendor's tool leaves an empty text where its user says nothing


def _is_unicode(text: str) -> bool:
    return "\x00" not in text and text == text.encode("utf-8", "ignore").decode()


def _runtime(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in _KINDS:
        raise _unfit(f"`runtime` must be one of {', '.join(_KINDS)}")
    return _KINDS[value]


def _resources(value: Any) -> Report | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _unfit("`resources` must be an object")
    cpus, memory = _number(value, "cpu", most=_MOST_CPUS), _number(value, "memory", most=_MOST_MEMORY / GIB)
    if memory is not None and memory * GIB < _LEAST_MEMORY:
        raise _unfit(f"`resources.memory` must be at least {_LEAST_MEMORY / GIB} (GB)")
    found = {"cpus": cpus, "memory_bytes": None if memory is None else int(memory * GIB)}
    return {name: each for name, each in found.items() if each is not None} | _gpus(value.get("gpu"))


def _number(resources: Report, name: str, *, most: float) -> float | None:
    value = resources.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise _unfit(f"`resources.{name}` must be a number over 0, and at most {most:g}")
    return float(value)


def _gpus(value: Any) -> Report:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _unfit("`resources.gpu` must be an object")
    count, kind = value.get("count", 1), value.get("type")
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MOST_GPUS:
        raise _unfit(f"`resources.gpu.count` must be a whole number from 0 to {_MOST_GPUS}")
    if kind is not None and (not isinstance(kind, str) or not kind.isprintable() or len(kind) > 100):
        raise _unfit("`resources.gpu.type` must be a text of at most 100 characters")
    return {"gpus": count} | ({"gpu_type": kind} if kind and count else {})


def _unfit(detail: str) -> Unfit:
    return Unfit(detail, file=NAME)
