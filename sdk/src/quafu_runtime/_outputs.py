"""What a job puts out while it runs, as typed values."""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from qrt_contracts.codec import from_json
from qrt_contracts.values import Encoding, Output, OutputKind


@dataclass(frozen=True, slots=True, kw_only=True)
class InterimResult:
    """Something the program published.

    `number` counts all outputs of the attempt, from 1; a later `attempt` starts anew.
    """

    job_id: str
    attempt: int
    number: int
    at: datetime
    encoding: Encoding
    text: str
    """The published value as the runtime carries it; `value` is what was published."""

    @property
    def value(self) -> Any:
        """The value as the program gave it: `bytes`, `str`, or any other that was published."""
        if self.encoding is Encoding.TEXT:
            return self.text
        return from_json(self.text) if self.encoding is Encoding.JSON else self.raw

    @property
    def raw(self) -> bytes:
        """The value as bytes: text in UTF-8, other values as JSON text."""
        if self.encoding is Encoding.BASE64:
            return base64.b64decode(self.text)
        return self.text.encode("utf-8", errors="surrogatepass")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogText:
    """A piece of what the program printed, with the line ends it had."""

    job_id: str
    attempt: int
    number: int
    at: datetime
    stream: Literal["stdout", "stderr", "system"]
    text: str


JobOutput = InterimResult | LogText
"""One output of a job."""


def typed(output: Output, *, job_id: str, attempt: int) -> JobOutput:
    """Return the typed form of an output."""
    if output.kind is OutputKind.INTERIM:
        return InterimResult(
            job_id=job_id,
            attempt=attempt,
            number=output.number,
            at=output.at,
            encoding=output.encoding,
            text=output.data,
        )
    return LogText(
        job_id=job_id,
        attempt=attempt,
        number=output.number,
        at=output.at,
        stream=output.stream or "stdout",
        text=output.data,
    )
