"""Properties of an input become the arguments of `run`; a program's signature says what fits."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional, Union
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from qrt_gateway.domain.shapes import TooManyChoices, check, validator_of
from qrt_runner.arguments import InvalidArguments, arguments
from qrt_runner.describe import signature
from qrt_runner.failures import Failure

pytestmark = pytest.mark.kipu


class Colour(enum.Enum):
    """An enum whose names and values differ."""

    RED = "r"
    BLUE = 2


class InputData(BaseModel):
    """The published example's."""

    values: list[float]


class InputParams(BaseModel):
    """The same, with something optional."""

    round_up: bool
    note: str | None = None


class Defaults(BaseModel):
    """A model that is made of nothing."""

    shots: int = 100


def published(data: InputData, params: InputParams) -> dict[str, Any]:
    """Add up.

    And round.
    """
    return {}


def test_the_models_of_the_published_example() -> None:
    made = arguments(published, {"data": {"values": [1, 2, 3]}, "params": {"round_up": True}, "else": 1})
    assert made == {"data": InputData(values=[1, 2, 3]), "params": InputParams(round_up=True)}


CASES: list[tuple[Any, Any, Any]] = [
    (bool, False, False),
    (str, "abc", "abc"),
    (int, "3", 3),
    (Optional[int], None, None),  # noqa: UP045
    (Union[int, str], "x", "x"),  # noqa: UP007
    (float, 1, 1.0),
    (Decimal, "1.5", Decimal("1.5")),
    (date, "2024-01-02", date(2024, 1, 2)),
    (datetime, "2024-01-02T03:04:05", datetime(2024, 1, 2, 3, 4, 5)),  # noqa: DTZ001 - as pydantic reads it
    (timedelta, "PT5S", timedelta(seconds=5)),
    (UUID, "0" * 31 + "1", UUID(int=1)),
    (Colour, "r", Colour.RED),
    (Colour, 2, Colour.BLUE),
    (Colour, "BLUE", Colour.BLUE),
    (list[Colour], ["RED", 2], [Colour.RED, Colour.BLUE]),
    (dict[str, Colour], {"a": "RED"}, {"a": Colour.RED}),
    (Colour | None, "BLUE", Colour.BLUE),
    (set[int], [1, 1], {1}),
    (tuple[int, str], [1, "a"], (1, "a")),
    (list[InputData], [{"values": [1]}], [InputData(values=[1])]),
    (Literal["a", "b"], "b", "b"),
    (Any, {"a": [None]}, {"a": [None]}),
    (object, [1], [1]),
]


@pytest.mark.parametrize(("annotation", "given", "value"), CASES)
def test_a_property_is_converted_by_its_annotation(annotation: Any, given: Any, value: Any) -> None:
    def run(x):  # type: ignore[no-untyped-def]
        return x

    run.__annotations__ = {"x": annotation}
    made = arguments(run, {"x": given})["x"]
    assert made == value
    assert type(made) is type(value)


def faults(run: Any, given: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidArguments) as refused:
        arguments(run, given)
    return dict(refused.value.errors)


def test_each_fault_is_told_by_its_pointer_and_never_by_its_value() -> None:
    def run(a: int, b: list[InputData], c: dict[str, int] | list[int], d: str) -> None: ...

    found = faults(run, {"a": "s3cret", "b": [{"values": [1, "s3cret"]}, {}], "c": {"x/y": "s3cret"}})
    assert {"/a", "/b/0/values/1", "/b/1/values", "/c/x~1y", "/d"} <= set(found)
    assert "s3cret" not in json.dumps(found)
    assert found["/d"] == found["/b/1/values"] == "it is missing"


def test_what_is_missing_is_a_default_or_none_or_a_model_of_nothing() -> None:
    def run(a: Defaults, b: int | None, c: int = 3, *d: int, e: str = "x") -> None: ...

    assert arguments(run, {}) == {"a": Defaults(), "b": None}
    assert faults(published, {"data": {"values": []}}) == {"/params/round_up": "it is missing"}


def test_kwargs_take_the_other_properties() -> None:
    def run(a: int, **rest: float) -> None: ...

    assert arguments(run, {"a": 1, "b-c": 2}) == {"a": 1, "b-c": 2.0}
    assert list(faults(run, {"a": 1, "b": "x"})) == ["/b"]


def test_a_default_of_none_takes_null() -> None:
    def run(a: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert arguments(run, {"a": None}) == {"a": None}


def test_an_annotation_that_nobody_can_resolve_takes_anything() -> None:
    def run(a: Nowhere, b: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert arguments(run, {"a": [1], "b": "2"}) == {"a": [1], "b": 2}


def test_whatever_is_called_tells_its_parameters() -> None:
    class Runner:
        def __call__(self, a: int) -> None: ...

        def method(self, a: int) -> None: ...

    @functools.wraps(published)
    def wrapped(*args: Any, **kwargs: Any) -> Any: ...

    def two(a: int, b: int) -> None: ...

    for run in (Runner(), Runner().method, functools.partial(two, b=1)):
        assert arguments(run, {"a": "1"})["a"] == 1
    assert "/data" in str(faults(wrapped, {"params": {"round_up": True}}))


def test_a_parameter_that_takes_no_keyword_is_refused() -> None:
    def run(a: int, /) -> None: ...

    with pytest.raises(Failure, match="keyword"):
        arguments(run, {"a": 1})


def test_a_tagged_value_is_what_it_stands_for_or_its_plain_form() -> None:
    def run(z: complex, at: datetime, items: list[int]) -> None: ...

    moment = datetime(2024, 1, 2)  # noqa: DTZ001
    given = {"z": {"$type": "complex"}, "at": {"$type": "datetime"}, "items": {"$type": "set"}}
    decoded = {"z": 1j, "at": moment, "items": {1}}
    assert arguments(run, given, decoded=decoded) == {"z": 1j, "at": moment, "items": [1]}


class SecretValue(BaseModel):
    """What the vendor's library has under this name."""

    _value: str = PrivateAttr()

    def __init__(self, value: str) -> None:
        super().__init__()
        self._value = value

    def unwrap(self) -> str:
        return self._value


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SecretValue, "__module__", "qhub.commons.secret")
    monkeypatch.setenv("SECRET_IBM_TOKEN", "s3cret")
    monkeypatch.setenv("SECRET_API_KEY", "k3y")


@pytest.mark.usefixtures("vendors")
def test_secret_parameters_are_made_of_the_jobs_secrets() -> None:
    def run(
        data: int,
        ibmToken: SecretValue,  # noqa: N803 - as users write it
        ibm_token: SecretValue | None,
        API_KEY: SecretValue,  # noqa: N803
        none: SecretValue | None,
        default: SecretValue | None = None,
    ) -> None: ...

    made = arguments(run, {"data": 1, "API_KEY": "not this"})
    assert [made[name].unwrap() for name in ("ibmToken", "ibm_token", "API_KEY")] == [
        "s3cret",
        "s3cret",
        "k3y",
    ]
    assert made["none"] is None
    assert "default" not in made
    told = signature(run)
    assert told["input"]["properties"].keys() == told["check"]["properties"].keys() == {"data"}
    assert told["check"]["required"] == ["data"]


@pytest.mark.usefixtures("vendors")
def test_a_secret_that_is_missing_is_told_by_its_name() -> None:
    def run(other: SecretValue) -> None: ...

    assert faults(run, {"other": "x"}) == {"/$secrets/other": "it is missing"}


def test_a_model_of_the_programs_own_is_no_secret_whatever_its_name() -> None:
    def run(data: SecretValue) -> None: ...

    assert signature(run)["check"]["required"] == ["data"]


# --- signatures ------------------------------------------------------------------------------------


def test_a_signature_says_what_run_takes_and_gives() -> None:
    told = signature(published)
    assert told["input"]["required"] == ["data", "params"]
    assert told["input"]["$defs"]["InputData"]["required"] == ["values"]
    assert (told["summary"], told["description"]) == ("Add up.", "And round.")
    assert told["output"]["type"] == "object"


def test_a_signature_requires_only_what_run_requires() -> None:
    def run(a: Defaults, b: int | None, c: InputData, d: int = 3, **rest: int) -> None: ...

    told = signature(run)
    for schema in (told["input"], told["check"]):
        assert schema["required"] == ["c"]
        assert schema["additionalProperties"] == {"type": "integer"}
    assert told["input"]["properties"]["d"]["default"] == 3


class Node(BaseModel):
    """A model that holds itself."""

    value: int
    next: Node | None = None


class Own(BaseModel):
    """A model whose own code reads it."""

    value: int

    @model_validator(mode="before")
    @classmethod
    def _any(cls, value: Any) -> Any:
        return {"value": 1} if isinstance(value, str) else value


class Loose(BaseModel):
    """A model one field of which reads anything, and another has two names."""

    a: int
    b: int = Field(validation_alias=AliasChoices("b", "bee"))

    @field_validator("a", mode="before")
    @classmethod
    def _any(cls, value: Any) -> Any:
        return 1 if isinstance(value, dict) else value


class Named(BaseModel):
    """A model that takes both names of a field."""

    model_config = ConfigDict(populate_by_name=True)
    a: int = Field(alias="A")


class Stripped(BaseModel):
    """A model that reads its texts without their spaces."""

    model_config = ConfigDict(str_strip_whitespace=True)
    a: Annotated[str, Field(max_length=2)]


class Typed(TypedDict):
    """A dict with known keys."""

    a: int


@dataclasses.dataclass
class Plain:
    """A dataclass."""

    a: int
    b: list[str] = dataclasses.field(default_factory=list)
    c: int = dataclasses.field(init=False, default=0)


ANNOTATIONS: list[Any] = [
    *(annotation for annotation, _, _ in CASES),
    InputData, InputParams, Node, Own, Loose, Named, Stripped, Typed, Plain,
    Annotated[int, Field(ge=1, le=3)],
    Annotated[str, Field(min_length=1, max_length=2)],
    Annotated[int, BeforeValidator(lambda value: 1)],
    Annotated[list[int], Field(max_length=1)],
    Union[InputData, Typed, None],  # noqa: UP007
]  # fmt: skip
KEYS = st.sampled_from(["a", "A", "b", "bee", "c", "value", "values", "next", "round_up"])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "a", " ab ", "1", "true", "r", "RED", "2024-01-02", "PT1S", "1.5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def _name(annotation: Any) -> str:
    """Return what stands for an annotation in a test's name: the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(annotation))


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=_name)
@settings(max_examples=40)
@given(value=JSON)
def test_what_run_takes_passes_the_check_before_queueing(annotation: Any, value: Any) -> None:
    run, validator = _checked(annotation)
    try:
        arguments(run, {"x": value})
    except InvalidArguments:
        return
    check(validator, {"x": value})


@functools.cache
def _checked_by_name(name: str) -> Any:
    annotation = next(each for each in ANNOTATIONS if str(each) == name)

    def run(x):  # type: ignore[no-untyped-def]
        return x

    run.__annotations__ = {"x": annotation}
    return run, validator_of(signature(run)["check"])


def _checked(annotation: Any) -> Any:
    return _checked_by_name(str(annotation))


@pytest.mark.parametrize(
    ("annotation", "wrong"),
    [
        (int, "x"), (float, []), (bool, 5), (str, 1), (InputData, {}), (InputData, []), (list[int], ["x"]),
        (Colour, "green"), (Literal["a"], "b"), (Plain, {"b": []}), (Typed, {}),
        (Node, {"value": 1, "next": {}}),
        (Optional[int], "x"), (dict[str, int], {"a": "x"}), (tuple[int, str], [1]), (date, "soon"),  # noqa: UP045
    ],
)  # fmt: skip
def test_what_is_plainly_wrong_is_refused_before_queueing(annotation: Any, wrong: Any) -> None:
    def run(x):  # type: ignore[no-untyped-def]
        return x

    run.__annotations__ = {"x": annotation}
    validator = validator_of(signature(run)["check"])
    assert validator is not None
    for value in ({"x": wrong}, {} if annotation != Optional[int] else {"x": wrong}):  # noqa: UP045
        with pytest.raises((ValidationError, TooManyChoices)):
            check(validator, value)
    with pytest.raises(InvalidArguments):
        arguments(run, {"x": wrong})


def test_an_annotation_without_a_schema_is_open() -> None:
    def run(x: TypeAdapter[int], y: Any) -> Exception:
        raise AssertionError("nobody calls it")

    told = signature(run)
    assert told["input"]["properties"] == told["check"]["properties"] == {"x": {}, "y": {}}
    assert told["output"] is None
