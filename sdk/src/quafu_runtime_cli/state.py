"""What every command has: how to answer, and the connection to the runtime, made when it is first needed."""

import json
import os
import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from quafu_runtime import RuntimeService

F = TypeVar("F", bound=Callable[..., Any])


class State:
    """One call of the command."""

    def __init__(self) -> None:
        self.json = False
        """Answer with JSON documents in place of text for people."""
        self.profile: str | None = None
        self.url: str | None = None
        """The runtime's address, once it is known."""

    @cached_property
    def service(self) -> "RuntimeService":
        """The runtime, for the account of the profile. Raises NoAccount."""
        from quafu_runtime import RuntimeService
        from quafu_runtime_cli import profiles

        account = profiles.account(self.profile)
        self.url = account.get_url()
        return RuntimeService(account)

    @property
    def colours(self) -> bool:
        """Whether what is written to stdout may have colours."""
        return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def style(self, text: str, **how: Any) -> str:
        """Return the text in colour, where there are colours."""
        return click.style(text, **how) if self.colours else text

    def document(self, value: Any) -> None:
        """Write one JSON document."""
        self._json(value, indent=2)

    def line(self, value: Any) -> None:
        """Write one of many JSON documents, on a line of its own."""
        self._json(value, indent=None)

    def text(self, text: str = "") -> None:
        """Write what was asked for, for people. It must be harmless."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Tell people what happens, beside what was asked for."""
        if not self.json:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def _json(self, value: Any, *, indent: int | None) -> None:
        from quafu_runtime._harmless import harmless_json

        written = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
        # Line by line: the newlines between the parts of a document are its own.
        self.text("\n".join(map(harmless_json, written.split("\n"))))


def _set(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        del parameter
        if value:
            setattr(context.ensure_object(State), name, value)

    return callback


def common(function: F) -> F:
    """Give a command the options that all have."""
    as_json = click.option(
        "--json", is_flag=True, expose_value=False, callback=_set("json"), help="Answer with JSON."
    )
    profile = click.option(
        "--profile",
        metavar="NAME",
        expose_value=False,
        callback=_set("profile"),
        help="Which login to use, if there are several.",
    )
    return as_json(profile(function))


pass_state = click.make_pass_decorator(State, ensure=True)
