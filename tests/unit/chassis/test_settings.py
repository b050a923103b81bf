"""Reading settings from variables."""

from enum import StrEnum
from pathlib import Path

import pytest
from pydantic import Field, SecretStr, ValidationError

from qrt_chassis.settings import (
    HealthSettings,
    MongoSettings,
    ServiceSettings,
    Settings,
    SettingsError,
    load,
)


class Level(StrEnum):
    LOW = "low"
    HIGH = "high"


class Inner(Settings):
    depth: int = Field(default=1, ge=1)
    secret: SecretStr = SecretStr("default")


class Sample(Settings):
    inner: Inner = Inner(depth=5)
    name: str
    level: Level = Level.LOW
    labels: tuple[str, ...] = ()
    directory: Path | None = None
    verbose: bool = False
    lease_seconds: float = 10.0


def read(**environ: str) -> Sample:
    return load(Sample, {"X_NAME": "n", **environ}, prefix="X_")


def refusal(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(**environ)
    return str(caught.value)


def test_what_is_not_given_has_its_default() -> None:
    settings = read()
    assert settings.name == "n"
    assert settings.inner.depth == 5
    assert settings.labels == ()


def test_a_nested_field_is_named_after_its_path() -> None:
    assert read(X_INNER_DEPTH="7").inner.depth == 7


def test_one_nested_value_keeps_the_groups_other_defaults() -> None:
    settings = read(X_INNER_SECRET="s3cret")
    assert settings.inner.depth == 5
    assert settings.inner.secret.get_secret_value() == "s3cret"


def test_text_becomes_what_the_field_is() -> None:
    settings = read(
        X_LEVEL="high", X_LABELS="gpu, big", X_DIRECTORY="/data", X_VERBOSE="true", X_LEASE_SECONDS="2.5"
    )
    assert settings.level is Level.HIGH
    assert settings.labels == ("gpu", "big")
    assert settings.directory == Path("/data")
    assert settings.verbose is True
    assert settings.lease_seconds == 2.5


def test_other_peoples_variables_are_left_alone() -> None:
    assert read(PATH="/bin", QRT_OTHER_NAME="x").name == "n"


def test_an_unknown_variable_is_named() -> None:
    text = refusal(X_NAMES="typo")
    assert "X_NAMES" in text
    assert "X_NAME" in text


def test_a_malformed_value_is_named_with_what_is_accepted() -> None:
    text = refusal(X_INNER_DEPTH="many")
    assert "X_INNER_DEPTH='many'" in text
    assert "a whole number (at least 1)" in text
    assert "one of low, high" in refusal(X_LEVEL="middle")


def test_a_missing_value_is_named() -> None:
    with pytest.raises(SettingsError, match=r"X_NAME is missing; give text"):
        load(Sample, {}, prefix="X_")


def test_every_fault_is_told_at_once() -> None:
    text = refusal(X_INNER_DEPTH="0", X_VERBOSE="perhaps")
    assert "X_INNER_DEPTH" in text
    assert "X_VERBOSE" in text


def test_a_secret_is_never_shown() -> None:
    class Guarded(Settings):
        token: SecretStr = Field(default=SecretStr("a-default-secret"), min_length=8)

    with pytest.raises(SettingsError) as caught:
        load(Guarded, {"X_TOKEN": "hunter2"}, prefix="X_")
    assert "X_TOKEN" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "a-default-secret" not in str(caught.value)
    assert "hunter2" not in repr(load(Guarded, {"X_TOKEN": "hunter2hunter2"}, prefix="X_"))


def test_a_secret_can_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    assert read(X_INNER_SECRET_FILE=str(file)).inner.secret.get_secret_value() == "s3cret"


def test_an_empty_file_leaves_a_secret_at_its_default(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("\n")
    assert read(X_INNER_SECRET_FILE=str(file)).inner.secret.get_secret_value() == "default"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "X_INNER_SECRET_FILE='/nowhere' cannot be read: No such file" in refusal(
        X_INNER_SECRET_FILE="/nowhere"
    )
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"\xff\xfe")
    large.write_text("x" * 70_000)
    assert "no text in UTF-8" in refusal(X_INNER_SECRET_FILE=str(binary))
    assert "more than 65536 bytes" in refusal(X_INNER_SECRET_FILE=str(large))


def test_a_secret_comes_from_one_place_and_nothing_else_from_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2")
    both = refusal(X_INNER_SECRET="hunter3", X_INNER_SECRET_FILE=str(file))
    assert "both X_INNER_SECRET and X_INNER_SECRET_FILE" in both
    assert "hunter" not in both
    assert "unknown: X_LEVEL_FILE" in refusal(X_LEVEL_FILE=str(file))


def test_settings_do_not_change_and_take_no_unknown_field() -> None:
    settings = read()
    with pytest.raises(ValidationError):
        settings.name = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        MongoSettings(prefx="x")  # type: ignore[call-arg]


def test_a_service_reads_bus_mongo_health_and_log_level() -> None:
    class Some(ServiceSettings):
        health: HealthSettings = HealthSettings(port=8080)

    settings = load(
        Some,
        {
            "QRT_SOME_BUS_URL": "memory://",
            "QRT_SOME_MONGO_PREFIX": "a_",
            "QRT_SOME_HEALTH_HOST": "0.0.0.0",
            "QRT_SOME_LOG_LEVEL": "DEBUG",
        },
        prefix="QRT_SOME_",
    )
    assert settings.bus.url.get_secret_value() == "memory://"
    assert settings.mongo.prefix == "a_"
    assert settings.health == HealthSettings(host="0.0.0.0", port=8080)
    assert settings.log_level == "DEBUG"
