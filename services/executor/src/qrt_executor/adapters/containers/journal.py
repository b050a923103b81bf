"""What the building of an image says: its lines to whoever listens, and what there is to know at its end."""

import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from qrt_executor.ports import Remark

_TAIL_LINES = 40
_LOG_LINES = 5000
_LINE_CHARACTERS = 2000
_RUNNING = re.compile(r"\s*---> Running in ([0-9a-f]{12,64})\s*")
_LAYER = re.compile(r"\s*---> ([0-9a-f]{12,64})\s*")


class Journal:
    """Takes the messages of one build. Steps print into them as they like: what it says is a hint."""

    def __init__(self, listeners: list[Remark]) -> None:
        self._listeners = listeners
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._told = 0
        self._rest = ""
        self.step: str | None = None
        """The container of the step that runs now."""
        self.layer: str | None = None
        """The newest image that the build has made or begun with."""
        self.error: str | None = None
        """Why the engine has given up."""
        self.over: str | None = None
        """Why the build was ended by us."""

    def take(self, message: Mapping[str, Any]) -> None:
        """Take in one message of the engine."""
        if "error" in message:
            self.error = str(message["error"])[:_LINE_CHARACTERS]
        *lines, self._rest = (self._rest + str(message.get("stream", ""))).split("\n")
        if len(self._rest) > _LINE_CHARACTERS:
            lines, self._rest = [*lines, self._rest], ""
        for line in lines:
            self._line(line.rstrip()[:_LINE_CHARACTERS])

    def _line(self, line: str) -> None:
        if running := _RUNNING.fullmatch(line):
            self.step = running[1]
        elif layer := _LAYER.fullmatch(line):
            self.step, self.layer = None, layer[1]
        if not line:
            return
        self._tail.append(line)
        self._told += 1
        if self._told <= _LOG_LINES:
            text = line if self._told < _LOG_LINES else "… the rest of the build's log is left out"
            for remark in self._listeners:
                remark(text)

    def end(self) -> str:
        """Return the last lines, to be shown below a reason."""
        return "\n" + "\n".join(self._tail) if self._tail else ""
