"""Secrets on their way and at rest."""

import pytest
from pydantic import SecretStr

from qrt_chassis.sealing import Seal, SealBroken
from qrt_chassis.settings import SettingsError, load
from qrt_contracts.values import Confidential
from qrt_gateway.settings import PREFIX, GatewaySettings

OLD, NEW = "o" * 32, "n" * 32
VALUE = Confidential(secrets={"SECRET_IBM_TOKEN": "s3cret"}, credentials={"quafu": "t0ken"})


def test_what_was_sealed_opens_again_and_cannot_be_read() -> None:
    seal = Seal(SecretStr(NEW))
    sealed = seal.seal(VALUE, purpose="job-1")
    assert "s3cret" not in sealed
    assert seal.open(sealed, purpose="job-1") == VALUE


def test_a_seal_moved_to_another_job_does_not_open() -> None:
    seal = Seal(SecretStr(NEW))
    with pytest.raises(SealBroken):
        seal.open(seal.seal(VALUE, purpose="job-1"), purpose="job-2")


@pytest.mark.parametrize("sealed", ["", "x", "ä", "gAAAAA", "0" * 10_000])
def test_what_was_never_sealed_does_not_open(sealed: str) -> None:
    with pytest.raises(SealBroken):
        Seal(SecretStr(NEW)).open(sealed, purpose="job-1")


def test_after_a_change_of_keys_the_old_seals_open_until_the_old_key_goes() -> None:
    sealed = Seal(SecretStr(OLD)).seal(VALUE, purpose="p")
    assert Seal(SecretStr(f"{NEW},{OLD}")).open(sealed, purpose="p") == VALUE
    with pytest.raises(SealBroken):
        Seal(SecretStr(NEW)).open(sealed, purpose="p")


def test_a_weak_key_is_refused_at_start_without_being_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        load(GatewaySettings, {f"{PREFIX}SEALING_KEYS": "hunter2"}, prefix=PREFIX)
    assert f"{PREFIX}SEALING_KEYS" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_fingerprint_is_equal_for_equal_data_of_one_purpose_and_key_alone() -> None:
    seal, other = Seal(SecretStr(NEW)), Seal(SecretStr(OLD))
    mark = seal.fingerprint(b"data", purpose="p")
    assert mark == Seal(SecretStr(f"{NEW},{OLD}")).fingerprint(b"data", purpose="p")
    others = {
        seal.fingerprint(b"else", purpose="p"),
        seal.fingerprint(b"data", purpose="q"),
        other.fingerprint(b"data", purpose="p"),
    }
    assert len(others - {mark}) == 3
