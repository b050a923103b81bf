"""Where the token and the address come from."""

import json
import stat
from pathlib import Path

import pytest

from quafu_runtime import Account
from quafu_runtime.errors import NoAccount

pytestmark = pytest.mark.quafu

CLOUD = "https://quafu.baqis.ac.cn/"


def write(name: str, text: str) -> Path:
    path = Path.home() / ".quafu" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("account", [lambda: Account(apitoken="t"), lambda: Account(api_token="t")])
def test_both_spellings_of_the_token_work(account: type[Account]) -> None:
    assert account().get_token() == "t"


def test_two_different_tokens_are_refused() -> None:
    with pytest.raises(NoAccount, match="two spellings"):
        Account(apitoken="a", api_token="b")


def test_arguments_win_over_the_environment_and_that_over_files(monkeypatch: pytest.MonkeyPatch) -> None:
    write("api", json.dumps({"token": "cloud", "url": CLOUD}))
    assert (Account().get_token(), Account().get_url()) == ("cloud", "http://127.0.0.1:8000")

    write("runtime", json.dumps({"token": "own", "url": "http://runtime:1"}))
    assert (Account().get_token(), Account().get_url()) == ("own", "http://runtime:1")

    monkeypatch.setenv("QUAFU_RUNTIME_TOKEN", "environment")
    monkeypatch.setenv("QUAFU_RUNTIME_URL", "http://environment:2/")
    assert (Account().get_token(), Account().get_url()) == ("environment", "http://environment:2")

    given = Account("argument", url="https://argument:3")
    assert (given.get_token(), given.get_url()) == ("argument", "https://argument:3")


@pytest.mark.parametrize("text", [json.dumps({"token": "t", "url": CLOUD}), f"t\n{CLOUD}\n", "t\n"])
def test_the_clouds_file_gives_the_token_in_either_form_and_never_the_address(text: str) -> None:
    write("api", text)

    assert Account().get_token() == "t"
    assert Account().get_url() == "http://127.0.0.1:8000"


def test_without_any_token_the_error_says_where_one_could_be() -> None:
    with pytest.raises(NoAccount, match="QUAFU_RUNTIME_TOKEN"):
        Account()


def test_a_saved_account_is_found_again_and_readable_by_its_owner_alone() -> None:
    Account(api_token="first", url="http://host:9").save_api_token("second")

    found = Account()

    assert (found.get_token(), found.get_url()) == ("second", "http://host:9")
    assert stat.S_IMODE((Path.home() / ".quafu" / "runtime").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["not json", "[]", '{"url": 1}'])
def test_a_damaged_file_is_named(text: str) -> None:
    path = write("runtime", text)

    with pytest.raises(NoAccount, match=str(path)):
        Account(api_token="t")


@pytest.mark.parametrize("url", ["host:8000", "ftp://host", "http://", "http://host:port", "http://h/?a=1"])
def test_a_malformed_address_is_refused(url: str) -> None:
    with pytest.raises(NoAccount, match="address"):
        Account(api_token="t", url=url)


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "umläut"])
def test_a_token_no_header_can_carry_is_refused(token: str) -> None:
    with pytest.raises(NoAccount, match="characters"):
        Account(api_token=token)


def test_the_token_is_not_shown() -> None:
    assert "secret" not in repr(Account(api_token="secret"))


def test_the_address_for_websockets_follows_the_scheme() -> None:
    assert Account(api_token="t", url="https://host/base/").get_url_ws() == "wss://host/base"
