"""Calling a user's function for each interim result, whichever generation of client it was written for."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qrt_contracts.values import Encoding
from quafu_runtime._decoder import ResultDecoder
from quafu_runtime._outputs import InterimResult
from quafu_runtime.errors import InvalidRequest

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Listener:
    """A callback, and how to call it.

    A callback that needs two arguments gets `(job_id, message)`, as the first clients called it, with
    messages as bytes; one that needs one or none gets `(message)`, as the later ones do, with messages
    decoded by `ResultDecoder`. A given `decoder` counts for both. What a program published as a JSON
    value, not as bytes or text, arrives as that value in either form.
    """

    callback: Callable[..., Any]
    with_job_id: bool
    decoder: type[ResultDecoder] | None

    def call(self, result: InterimResult) -> Any:
        """Call the callback for an interim result and return what it returns."""
        return self._pass(result.job_id, self.message(result))

    def finish(self, job_id: str) -> Any:
        """Call the callback for the end of the stream: the job's id as bytes."""
        return self._pass(job_id, job_id.encode())

    def message(self, result: InterimResult) -> Any:
        """Return an interim result as the callback gets it."""
        if self.decoder is not None:
            return self.decoder.decode(result.raw)
        return result.value if result.encoding is Encoding.JSON else result.raw

    def _pass(self, job_id: str, message: Any) -> Any:
        return self.callback(job_id, message) if self.with_job_id else self.callback(message)


def listener(callback: Callable[..., Any], decoder: type[ResultDecoder] | None) -> Listener:
    """Return how to call `callback`.

    Raises:
        InvalidRequest: it cannot be called with one or two arguments.
    """
    needed, possible = _arity(callback)
    if needed > 2 or possible == 0:
        raise InvalidRequest.because("a callback takes (message) or (job_id, message)", field="callback")
    with_job_id = needed == 2
    return Listener(callback, with_job_id, decoder if with_job_id else decoder or ResultDecoder)


def _arity(callback: Callable[..., Any]) -> tuple[int, int]:
    try:
        parameters = inspect.signature(callback).parameters.values()
    except ValueError:  # some builtins do not tell
        return 1, 1
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        return 0, 0
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return sum(p.default is p.empty for p in positional), len(positional) + open_ended
