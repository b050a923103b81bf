"""Commands and what answers them: a reply or a problem, as JSON."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from qrt_chassis import metrics, tracing
from qrt_chassis.bus.port import CommandHandlers
from qrt_chassis.bus.wire import UNKNOWN_SCHEMA, Envelope, NotReadable, Readers
from qrt_chassis.logging import bind
from qrt_chassis.passing import is_passing
from qrt_contracts.faults import InvalidRequest, Problem, RuntimeFault, Unavailable, fault_from
from qrt_contracts.message import Command, Message, Value

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Value)


class Answerer:
    """Answers the commands of one service."""

    def __init__(self, service: str, handlers: CommandHandlers) -> None:
        self._service = service
        self._handlers = handlers
        self._readers = Readers(handlers)

    async def answer(self, envelope: Envelope) -> bytes:
        """Carry out the command in `envelope`; return the reply, or the fault as a problem."""
        ids = {} if envelope.request_id is None else {"request_id": envelope.request_id}
        with (
            bind(message_id=envelope.message_id, **ids),
            tracing.step(f"{envelope.schema} process", kind="server", parent=envelope.traceparent),
        ):
            try:
                with metrics.HANDLER_SECONDS.labels(envelope.schema).time():
                    reply = await self._carry_out(self._read(envelope))
            except RuntimeFault as fault:
                log.info("%s was refused: %s", envelope.schema, fault)
                metrics.HANDLER_ERRORS.labels(envelope.schema, "fault").inc()
                return _encode("problem", fault.problem())
            except Exception as error:  # noqa: BLE001 - a caller is owed an answer whatever happens
                return _encode("problem", self._unforeseen(envelope, error).problem())
        return _encode("reply", reply)

    def _read(self, envelope: Envelope) -> Message:
        try:
            return self._readers.open(envelope)
        except NotReadable as error:
            if error.reason == UNKNOWN_SCHEMA:  # while releases are rolled, another replica may know it
                raise Unavailable(f"this {self._service} is of another release: {error}") from error
            raise InvalidRequest(f"the {self._service} cannot read the command: {error}") from error

    async def _carry_out(self, command: Message) -> Value:
        return await self._handlers[type(command)](command)

    def _unforeseen(self, envelope: Envelope, error: Exception) -> RuntimeFault:
        if is_passing(error):
            metrics.HANDLER_ERRORS.labels(envelope.schema, "passing").inc()
            log.warning("%s could not be carried out: %r", envelope.schema, error)
            return Unavailable(f"what the {self._service} needs does not answer at present")
        metrics.HANDLER_ERRORS.labels(envelope.schema, "internal").inc()
        log.error("%s failed", envelope.schema, exc_info=error)
        return RuntimeFault(f"the {self._service} failed; its log says why, under {envelope.message_id}")


def _encode(kind: str, value: BaseModel) -> bytes:
    return b'{"%s":%s}' % (kind.encode(), value.model_dump_json().encode())


def read_answer(command: Command[R], answer: bytes) -> R:
    """Return the reply in an answer, as the command's reply type.

    Raises:
        RuntimeFault: the answer is a problem; the class is that of its code.
        Unavailable: it cannot be read: who gave it is of another release.
    """
    document = json.loads(answer)
    if "problem" in document:
        raise fault_from(Problem.model_validate(document["problem"]))
    try:
        return cast("R", command.reply_type.model_validate(document["reply"]))
    except ValidationError as error:
        detail = f"the {command.service} answered {command.schema_name} as this release does not know it"
        raise Unavailable(detail) from error


@contextmanager
def measured(schema: str) -> Iterator[None]:
    """Measure one request, from command to reply or fault."""
    try:
        with metrics.REQUEST_SECONDS.labels(schema).time(), tracing.step(f"{schema} request", kind="client"):
            yield
    except RuntimeFault as fault:
        metrics.REQUESTS_FAILED.labels(schema, fault.code).inc()
        raise
