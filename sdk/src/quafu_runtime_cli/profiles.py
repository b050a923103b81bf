"""Who the command speaks for, and to which runtime: profiles in a file that its owner alone can read."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from quafu_runtime import Account
from quafu_runtime._account import DEFAULT_URL, TOKEN_VARIABLE, URL_VARIABLE
from quafu_runtime.errors import NoAccount
from quafu_runtime_cli.endings import usage

FIRST = "default"
"""The profile that is used unless another one is named."""


@dataclass(frozen=True)
class Profile:
    """An address and a token for it."""

    url: str
    token: str


def config_file() -> Path:
    """Return where profiles are kept."""
    return Path(platformdirs.user_config_dir("quafu-runtime", appauthor=False)) / "config.json"


def profiles() -> dict[str, Profile]:
    """Return the kept profiles by name. Raises CommandFailed if the file cannot be read."""
    path = config_file()
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        return {name: Profile(each["url"], each["token"]) for name, each in found["profiles"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        hint = f"Remove it and log in again: quafu-runtime login (the file is {path})"
        raise usage(f"{path} cannot be read: {type(exc).__name__}: {exc}", hint=hint) from exc


def keep(name: str, profile: Profile) -> Path:
    """Keep a profile under a name, in place of one of that name; return where."""
    return _write(profiles() | {name: profile})


def forget(name: str) -> bool:
    """Forget a profile; tell whether there was one."""
    known = profiles()
    if name not in known:
        return False
    del known[name]
    _write(known)
    return True


def account(profile: str | None) -> Account:
    """Return who to speak for: the environment wins over the profile, and that over the library's files.

    A profile's token goes to its own address alone: with another one in the environment, the token must be
    there too.

    Raises:
        NoAccount: there is no token, or the profile is not known.
    """
    url, token = os.environ.get(URL_VARIABLE), os.environ.get(TOKEN_VARIABLE)
    known = profiles()
    kept = known.get(profile or FIRST)
    if token:
        return Account(api_token=token, url=url or (kept.url if kept else None))
    if kept is None:
        if profile is not None:
            raise NoAccount(f"there is no profile {profile!r}; {_names(known)}")
        return _kept_by_the_library(url)
    if url and url.rstrip("/") != kept.url.rstrip("/"):
        raise NoAccount(
            f"{URL_VARIABLE} is {url}, but the token that is kept is for {kept.url}: set {TOKEN_VARIABLE} too"
        )
    return Account(api_token=kept.token, url=kept.url)


def _kept_by_the_library(url: str | None) -> Account:
    try:
        return Account(url=url)
    except NoAccount as exc:
        if "no API token" in str(exc):
            raise NoAccount("you are not logged in to any runtime") from exc
        raise


def address(profile: str | None) -> str:
    """Return the address to log in to unless another one is given."""
    kept = profiles().get(profile or FIRST)
    return os.environ.get(URL_VARIABLE) or (kept.url if kept else DEFAULT_URL)


def _names(known: dict[str, Profile]) -> str:
    return f"there are {', '.join(sorted(known))}" if known else "none is kept"


def _write(known: dict[str, Profile]) -> Path:
    path = config_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = {name: {"url": each.url, "token": each.token} for name, each in sorted(known.items())}
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"profiles": content}, file, indent=2)
        file.write("\n")
    fresh.replace(path)
    return path
