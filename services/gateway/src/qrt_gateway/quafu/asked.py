"""What clients send, taken as the published ones mean it."""

import base64
import binascii
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request

from qrt_contracts.api_programs import ProgramName
from qrt_contracts.faults import InvalidRequest, NotFound
from qrt_contracts.ids import plain
from qrt_contracts.values import Visibility
from qrt_gateway.handlers.problems import MalformedBody
from qrt_gateway.handlers.reading import bounded_body
from qrt_gateway.handlers.texts import parsed

M = TypeVar("M", bound=BaseModel)


def _visibility(value: Any) -> Visibility | None:
    # One client sends [1] for 1: a tuple by mistake. 0 and 2 both are private, in one dialect each.
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return None
    if value not in (0, 1, 2):
        raise ValueError("is_public must be 1 for public, 0 or 2 for private")
    return Visibility.PUBLIC if value == 1 else Visibility.PRIVATE


def _source(value: Any) -> bytes | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("data must be the source in base64")  # noqa: TRY004 - what pydantic reports
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("data must be the source in base64") from None


Source = Annotated[bytes | None, BeforeValidator(_source)]
Public = Annotated[Visibility | None, BeforeValidator(_visibility)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ProgramFields(_Asked):
    """What `programs_upload` and `program_update` have in common; None stays as it is."""

    name: ProgramName | None = None
    data: Source = None
    description: str | None = Field(default=None, max_length=10_000)
    is_public: Public = None
    backend: str | None = Field(default=None, max_length=128)
    group: str | None = Field(default=None, max_length=128)
    cost: float | None = Field(default=None, ge=0)

    def described(self) -> dict[str, Any]:
        """Return what is set of the fields that describe a program."""
        fields = {name: getattr(self, name) for name in ("description", "backend", "group", "cost")}
        fields["visibility"] = self.is_public
        return {name: value for name, value in fields.items() if value is not None}


class Run(_Asked):
    """`programs_run_deploy`; `inputs` is an older name of `params`."""

    program_id: str | None = None
    program_name: str | None = None
    backend: str | None = Field(default=None, max_length=128)
    params: Any = None
    inputs: Any = None


class Page(_Asked):
    """`programs`."""

    limit: int = Field(default=10, ge=0)
    offset: int = Field(default=0, ge=0)


async def object_of(request: Request, *, limit: int) -> dict[str, Any]:
    """Return the JSON object in a body, whatever media type its client gives it.

    Raises:
        MalformedBody: it holds none.
        TooLarge, RequestTimeout: it cannot be read.
    """
    value = parsed(await bounded_body(request, limit))
    if not isinstance(value, dict):
        raise MalformedBody("the body must be a JSON object")
    return value


def read_as(model: type[M], value: Any) -> M:
    """Return `value` as a model. Raises: InvalidRequest, naming the first field at fault."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise InvalidRequest(f"{where}: {first['msg'].removeprefix('Value error, ')}", field=where) from None


def id_in(value: Any, *, what: str) -> str:
    """Return an id in its plain form. Raises: NotFound, for what cannot be the id of anything."""
    identifier = plain(value) if isinstance(value, str) else None
    if identifier is None:
        raise NotFound(f"there is no {what} {str(value)[:64]!r}")
    return identifier
