"""Who calls, and where the runtime is."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from quafu_runtime.errors import NoAccount

DEFAULT_URL = "http://127.0.0.1:8000"
TOKEN_VARIABLE = "QUAFU_RUNTIME_TOKEN"  # noqa: S105  # a name, not a secret
URL_VARIABLE = "QUAFU_RUNTIME_URL"


class Account:
    """An API token and the address of a runtime.

    The token comes from the first of: `api_token` or `apitoken` (two spellings of one thing), the
    environment variable `QUAFU_RUNTIME_TOKEN`, `~/.quafu/runtime`, `~/.quafu/api`. The address from the
    first of: `url`, `QUAFU_RUNTIME_URL`, `~/.quafu/runtime`, `http://127.0.0.1:8000`.

    `~/.quafu/api` is pyquafu's file (JSON, or the older form whose first line is the token). The
    address in it is that of the Quafu cloud and is never taken for a runtime's. `~/.quafu/runtime` is
    this library's own, JSON with `url` and `token`, either may be missing.

    Raises:
        NoAccount: there is no token, or the token or the address is malformed.
    """

    def __init__(
        self, apitoken: str | None = None, api_token: str | None = None, url: str | None = None
    ) -> None:
        if apitoken is not None and api_token is not None and apitoken != api_token:
            raise NoAccount("apitoken and api_token are two spellings of one argument: give one of them")
        folder = _folder()
        saved = _read_own(folder / "runtime")
        token = api_token or apitoken or os.environ.get(TOKEN_VARIABLE) or saved.get("token")
        self._token = _checked_token(token or _read_pyquafu(folder / "api"), folder)
        self._url = _checked_url(url or os.environ.get(URL_VARIABLE) or saved.get("url") or DEFAULT_URL)

    def get_token(self) -> str:
        """Return the API token."""
        return self._token

    def get_url(self) -> str:
        """Return the runtime's address, without a slash at its end."""
        return self._url

    def get_url_ws(self) -> str:
        """Return the runtime's address for WebSockets."""
        return "ws" + self._url.removeprefix("http")

    def save_api_token(self, api_token: str | None = None) -> None:
        """Keep the token (a new one, if given) and the address in `~/.quafu/runtime`, for your eyes only."""
        if api_token is not None:
            self._token = _checked_token(api_token, _folder())
        _write_private(_folder() / "runtime", {"url": self._url, "token": self._token})

    def __repr__(self) -> str:
        return f"Account(url={self._url!r}, api_token='***')"


def _folder() -> Path:
    return Path.home() / ".quafu"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise NoAccount(f"{path} cannot be read: {exc}") from exc


def _read_own(path: Path) -> Mapping[str, str]:
    text = _read(path)
    if text is None:
        return {}
    try:
        found: Any = json.loads(text)
    except ValueError as exc:
        raise NoAccount(f"{path} is not JSON: {exc}") from exc
    if not isinstance(found, dict) or not all(isinstance(found.get(k, ""), str) for k in ("url", "token")):
        raise NoAccount(f'{path} should read like {{"url": "{DEFAULT_URL}", "token": "..."}}')
    return found


def _read_pyquafu(path: Path) -> str | None:
    text = _read(path)
    if text is None:
        return None
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        token = found.get("token")
        return token if isinstance(token, str) else None
    return text.strip().partition("\n")[0].strip() or None


def _write_private(path: Path, content: Mapping[str, str]) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)
    fresh.replace(path)


def _checked_token(token: str | None, folder: Path) -> str:
    if not token:
        raise NoAccount(
            f"no API token: give Account(api_token=...), set {TOKEN_VARIABLE}, "
            f"or keep it in {folder / 'runtime'} or {folder / 'api'}"
        )
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise NoAccount("the API token holds characters that no token can hold")
    return token


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        )
        _ = parts.port  # a malformed one is noticed only here
    except ValueError:
        valid = False
    if not valid:
        raise NoAccount(f"{url!r} is not an address of a runtime: write it like {DEFAULT_URL}")
    return url.rstrip("/")
