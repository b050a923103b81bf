"""What the input of a job says to the runtime and not to its program: `$tags` and `$secrets`. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from qrt_contracts.faults import FieldError, InvalidRequest

TAGS, SECRETS = "$tags", "$secrets"

MAX_TAGS = 64
TAG_CHARACTERS = 256
MAX_SECRETS = 64
SECRET_BYTES = 32 << 10
"""One secret, in UTF-8."""
SECRETS_BYTES = 64 << 10
"""All of a job's secrets together."""
PREFIX = "SECRET_"

NAMES = r"^[A-Za-z_][A-Za-z0-9_. -]{0,63}$"
"""What a secret may be called; as schemas say it."""

_NAME = re.compile(NAMES)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Parted:
    """An input without what is reserved, and that by itself, as it was sent."""

    input: dict[str, Any]
    tags: Any = None
    secrets: Any = None


def parted(value: dict[str, Any]) -> Parted:
    """Take what begins with `$` out of the input of a service program; such names are the runtime's."""
    rest = {name: each for name, each in value.items() if not name.startswith("$")}
    return Parted(rest, value.get(TAGS), value.get(SECRETS))


def tags_of(value: Any, *, pointer: str = "/tags") -> tuple[str, ...]:
    """Return tags as sent, each once; None are none.

    Raises:
        InvalidRequest: it is no list of short printable texts; `errors` points at each fault.
    """
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise _refused([FieldError(pointer=pointer, detail="give a list of texts")])
    unique = list(dict.fromkeys(each if isinstance(each, str) else repr(each) for each in value))
    faults = [
        FieldError(pointer=f"{pointer}/{at}", detail=detail)
        for at, each in enumerate(value)
        if (detail := _fault_of_tag(each))
    ]
    if len(unique) > MAX_TAGS:
        faults.append(FieldError(pointer=pointer, detail=f"a job has at most {MAX_TAGS} tags"))
    if faults:
        raise _refused(faults)
    return tuple(unique)


def secrets_of(value: Any, *, pointer: str = "/secrets") -> dict[str, str]:
    """Return secrets by the names of the environment variables in which a program finds them.

    Raises:
        InvalidRequest: it is no object of texts, a name cannot be written as a variable or is that of
            another one, or they are too many or too large. No value is in the message.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _refused([FieldError(pointer=pointer, detail="give an object of texts")])
    faults: list[FieldError] = []
    named: dict[str, str] = {}
    for name, secret in value.items():
        variable, detail = variable_of(name), _fault_of_secret(name, secret)
        if not detail and variable in named:
            detail = f"another one is also told to the program as {variable}"
        if detail:
            faults.append(FieldError(pointer=f"{pointer}/{_escaped(name)}", detail=detail))
        else:
            named[variable] = secret
    if len(value) > MAX_SECRETS:
        faults.append(FieldError(pointer=pointer, detail=f"a job has at most {MAX_SECRETS} secrets"))
    if sum(len(each.encode()) for each in named.values()) > SECRETS_BYTES:
        faults.append(FieldError(pointer=pointer, detail=f"together they exceed {SECRETS_BYTES} bytes"))
    if faults:
        raise _refused(faults)
    return named


def variable_of(name: str) -> str:
    """Return the environment variable of a secret: `ibmToken` is told as SECRET_IBM_TOKEN."""
    return PREFIX + re.sub(r"[^A-Za-z0-9_]", "_", _HUMP.sub("_", name)).upper()


def _fault_of_tag(tag: Any) -> str | None:
    if not isinstance(tag, str):
        return "a tag is a text"
    if not 0 < len(tag) <= TAG_CHARACTERS:
        return f"a tag has 1 to {TAG_CHARACTERS} characters"
    return "a tag has no control characters" if _CONTROL.search(tag) else None


def _fault_of_secret(name: str, secret: Any) -> str | None:
    if not _NAME.fullmatch(name):
        return "a name has 1 to 64 letters, digits, spaces, or any of _ . -, and begins with a letter or _"
    if not isinstance(secret, str):
        return "a secret is a text"
    if not secret:
        return "a secret is not empty"
    if "\x00" in secret:
        return "a secret has no NUL character"
    if len(secret.encode()) > SECRET_BYTES:
        return f"a secret has at most {SECRET_BYTES} bytes"
    return None


def _escaped(name: str) -> str:
    return name[:64].replace("~", "~0").replace("/", "~1")


def _refused(faults: Iterable[FieldError]) -> InvalidRequest:
    errors = tuple(faults)
    said = "; ".join(f"{each.pointer.lstrip('/')}: {each.detail}" for each in errors[:5])
    return InvalidRequest(said, field=errors[0].pointer.split("/")[1], errors=errors)
