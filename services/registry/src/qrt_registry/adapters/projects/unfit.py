"""Why a project cannot be accepted."""


class Unfit(Exception):
    """The project cannot be accepted. `line` and `column` count from 1, 0 is nowhere in particular."""

    def __init__(
        self, detail: str, *, file: str = "", line: int = 0, column: int = 0, text: str = ""
    ) -> None:
        super().__init__(detail)
        self.detail, self.file, self.line, self.column, self.text = detail, file, line, column, text


def shown(name: str) -> str:
    """Return a member's name as it can be shown: quoted, escaped, not too long."""
    quoted = ascii(name)
    return quoted if len(quoted) <= 200 else quoted[:200] + "…'"
