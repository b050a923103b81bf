"""Judging a job's input by its program's signature, before the job is queued. Pure."""

from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import SchemaValidator

from qrt_chassis.bounded import Bounded
from qrt_contracts.faults import FieldError, InvalidRequest, field_errors
from qrt_contracts.values import ProgramKind
from qrt_gateway.domain.shapes import TooManyChoices, check, validator_of

WHOLE_BYTES = 1 << 20
"""An input up to this size is checked as a whole; of a larger one only its properties are looked at."""
SIGNATURE_BYTES = 1 << 20
"""A larger signature checks nothing."""
SHALLOW = 1
MAX_ERRORS = 100
_REMEMBERED = 256

OBJECT_KINDS = frozenset({ProgramKind.TEMPLATE, ProgramKind.CONTAINER})
"""Programs whose input is a JSON object, each property an argument or a file."""

_Key = tuple[str, bool]


class Inputs:
    """Checks inputs; remembers what it made of the signatures it has seen last."""

    def __init__(self) -> None:
        self._made: Bounded[_Key, SchemaValidator | None] = Bounded(2 * _REMEMBERED)

    def knows(self, digest: str) -> bool:
        """Tell whether a signature of that digest need not be read again."""
        return (digest, True) in self._made and (digest, False) in self._made

    def check(self, value: Any, *, digest: str, signature: bytes | None, size: int) -> None:
        """Refuse an input that its program would refuse.

        Args:
            value: the input, as parsed from JSON.
            digest: of the signature, to know it again.
            signature: its JSON text; None if `knows` it.
            size: bytes of the input's JSON text.

        Raises:
            InvalidRequest: with a JSON pointer into the input for each fault, and never what is there.
        """
        if signature is not None and not self.knows(digest):
            self._learn(digest, signature)
        key = (digest, size <= WHOLE_BYTES)
        validator = self._made.get(key)
        if validator is None:
            return
        self._made.move_to_end(key)
        try:
            check(validator, value)
        except ValidationError as error:
            raise _refusal(error) from None
        except (TooManyChoices, RecursionError):
            return  # the program itself decides

    def _learn(self, digest: str, signature: bytes) -> None:
        schema = _schema_in(signature)
        self._made[digest, True] = validator_of(schema) if schema is not None else None
        self._made[digest, False] = validator_of(schema, depth=SHALLOW) if schema is not None else None


def object_input(value: Any, kind: ProgramKind) -> Any:
    """Return the input of a program of that kind: for some an object, where nothing is an empty one.

    Raises:
        InvalidRequest: it must be an object, and is none.
    """
    if kind not in OBJECT_KINDS:
        return value
    if value is None:
        return {}
    if not isinstance(value, dict):
        detail = "the input of this program must be a JSON object: its properties are the arguments of run()"
        raise InvalidRequest(detail, field="input", errors=(FieldError(pointer="", detail=detail),))
    return value


def _schema_in(signature: bytes) -> dict[str, Any] | None:
    if len(signature) > SIGNATURE_BYTES:
        return None
    try:
        found = orjson.loads(signature)
    except orjson.JSONDecodeError:
        return None
    schema = found.get("check") if isinstance(found, dict) else None
    return schema if isinstance(schema, dict) else None


def _refusal(error: ValidationError) -> InvalidRequest:
    count = error.error_count()
    if count > MAX_ERRORS:
        detail = f"the input does not fit the program in {count} places"
        return InvalidRequest(detail, field="input", errors=(FieldError(pointer="", detail=detail),))
    raw = error.errors(include_url=False, include_context=False, include_input=False)
    errors = field_errors(list(raw))
    said = "; ".join(f"{each.pointer or 'the input'}: {each.detail}" for each in errors[:5])
    more = f" (and {count - 5} more)" if count > 5 else ""
    return InvalidRequest(f"the input does not fit the program: {said}{more}", field="input", errors=errors)
