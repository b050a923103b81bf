"""An attempt's outputs on their way out: numbered, packed, published in order, with backpressure."""

import asyncio
import base64
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal

from qrt_chassis.backoff import Backoff
from qrt_chassis.bus.port import Bus, Undeliverable
from qrt_chassis.passing import is_passing
from qrt_contracts.endings import Ending
from qrt_contracts.events import JobOutput
from qrt_contracts.message import Message
from qrt_contracts.values import Circuit, Encoding, Limits, Output, OutputKind, SkippedFile
from qrt_executor import metrics
from qrt_executor.domain.logtext import LogBudget, LogText
from qrt_executor.domain.redaction import RedactedStream, Redactor
from qrt_executor.domain.verdict import Stop, StopCause
from qrt_executor.ports import InterimKind, InvalidCall, Stream

log = logging.getLogger(__name__)

NO_SECRETS = Redactor()

PACK_SECONDS = 0.020
"""How long a busy attempt's outputs may wait to be packed together, at most."""
PACK_FIRST_SECONDS = 0.001
"""How long they wait at first; it doubles while more has come before the last batch was out."""
PACK_BYTES = 64 * 1024
"""A batch is full at this many bytes of data; one large interim result is a batch of its own."""
IDLE_SECONDS = 0.050
"""How long an unfinished line waits for its end."""
PENDING_BYTES = 512 * 1024
"""What waits for the bus before nothing more is read from the program."""

Clock = Callable[[], datetime]

_COUNTS = {kind: metrics.OUTPUTS.labels(kind.value) for kind in OutputKind}


class Outputs:
    """Takes what a program writes and publishes (`ports.Sink`) and sends it on as `JobOutput`.

    What it writes goes through the redactor; what it publishes is an answer and stays as it is.
    """

    def __init__(
        self,
        *,
        job_id: str,
        attempt: int,
        limits: Limits,
        bus: Bus,
        clock: Clock,
        stop: Callable[[Stop], None],
        answer: Callable[[bytes], Awaitable[bytes]] | None = None,
        redactor: Redactor = NO_SECRETS,
    ) -> None:
        self._job_id = job_id
        self._attempt = attempt
        self._limits = limits
        self._bus = bus
        self._clock = clock
        self._stop = stop
        self.answer = answer
        """What answers the program's questions; None refuses them."""
        self.redactor = redactor
        """What strikes the job's secrets out."""
        self._clear: dict[Stream, RedactedStream] = {"stdout": redactor.stream(), "stderr": redactor.stream()}
        self._budget = LogBudget(limits.log_bytes)
        self._texts: dict[Stream, LogText] = {
            "stdout": LogText(self._budget),
            "stderr": LogText(self._budget),
        }
        self._interim_bytes = 0
        self._interim_count = 0
        self._pending: deque[tuple[Output, int]] = deque()
        self._pending_bytes = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False
        self.last_number = 0
        """Number of the newest output."""

    # --- taking in ----------------------------------------------------------------------------

    def log(self, stream: Stream, data: bytes) -> None:
        """Take in bytes written to a stream."""
        self._log(stream, self._clear[stream].feed(data))

    def _log(self, stream: Stream, data: bytes) -> None:
        text = self._texts[stream]
        for piece in text.feed(data):
            self._add(OutputKind.LOG, Encoding.TEXT, piece, stream=stream)
        if text.unfinished:
            self._changed.set()

    def interim(self, kind: InterimKind, data: bytes) -> None:
        """Take in one interim result; one over a limit ends the attempt and is not kept."""
        self._flush_lines()
        self._interim_bytes += len(data)
        self._interim_count += 1
        over = self._over_limit()
        if over is not None:
            self._stop(Stop(cause=StopCause.LIMIT, ending=Ending.OUTPUT_LIMIT, detail=over))
            return
        encoding, text = _encoded(kind, data)
        self._add(OutputKind.INTERIM, encoding, text)

    def violation(self, detail: str) -> None:
        """End the attempt: its program has broken the protocol."""
        self._stop(Stop(cause=StopCause.VIOLATION, detail=f"the program sent {detail}"))

    async def room(self) -> None:
        """Return when more can be taken in."""
        await self._room.wait()

    async def call(self, question: bytes) -> bytes:
        """Answer a program's question. Raises InvalidCall."""
        if self.answer is None:
            raise InvalidCall("a question where none is answered")
        return await self.answer(question)

    def circuit(self, circuit: Circuit) -> None:
        """Take in the record of a circuit that has ended."""
        self._add(OutputKind.CIRCUIT, Encoding.JSON, circuit.model_dump_json())

    def remark(self, text: str) -> None:
        """Take in a line of the runtime's own, for the log."""
        self._flush_lines()
        self._add(OutputKind.LOG, Encoding.TEXT, self.redactor.text(text) + "\n", stream="system")

    def files_left_out(self, skipped: Sequence[SkippedFile]) -> None:
        """Remark on output files that are not kept; the job's record has each with its reason."""
        if skipped:
            first = f"{skipped[0].name}: {skipped[0].reason}"
            more = f" (and {len(skipped) - 1} more; see the job's skipped_files)" if len(skipped) > 1 else ""
            self.remark(f"… an output file was not kept: {first}{more}")

    def close(self) -> None:
        """Take in what is left of the last lines; `publish_all` ends when everything is out."""
        for stream, clear in self._clear.items():
            self._log(stream, clear.finish())
        self._flush_lines(final=True)
        if self._budget.dropped:
            metrics.DROPPED_BYTES.inc(self._budget.dropped)
            remark = f"… {self._budget.dropped} bytes of log dropped: the limit is {self._limits.log_bytes}\n"
            self._add(OutputKind.LOG, Encoding.TEXT, remark, stream="system")
        self._closing = True
        self._changed.set()

    def _over_limit(self) -> str | None:
        limits = self._limits
        if self._interim_bytes > limits.interim_bytes:
            return f"its interim results exceed {limits.interim_bytes} bytes"
        if self._interim_count > limits.interim_count:
            return f"it published more than {limits.interim_count} interim results"
        return None

    def _flush_lines(self, *, final: bool = False) -> None:
        for stream, text in self._texts.items():
            for piece in text.flush(final=final):
                self._add(OutputKind.LOG, Encoding.TEXT, piece, stream=stream)

    def _add(
        self,
        kind: OutputKind,
        encoding: Encoding,
        data: str,
        *,
        stream: Stream | Literal["system"] | None = None,
    ) -> None:
        self.last_number += 1
        output = Output(
            number=self.last_number,
            kind=kind,
            at=self._clock(),
            stream=stream,
            encoding=encoding,
            data=data,
        )
        self._pending.append((output, len(data)))
        self._pending_bytes += len(data)
        if self._pending_bytes >= PENDING_BYTES:
            self._room.clear()
        self._changed.set()

    # --- sending on ---------------------------------------------------------------------------

    async def publish_all(self) -> None:
        """Publish outputs until `close` was called and all of them are confirmed, in order."""
        pack = 0.0
        while True:
            busy = bool(self._pending)
            pack = min(PACK_SECONDS, max(PACK_FIRST_SECONDS, 2 * pack)) if busy else 0.0
            await self._something()
            if not self._pending:
                return
            if pack:
                await self._pack(pack)
            batch = self._take_batch()
            await publish_for_ever(
                self._bus,
                JobOutput(job_id=self._job_id, attempt=self._attempt, outputs=batch),
            )

    async def _something(self) -> None:
        """Return when there is something to publish, or nothing ever will be."""
        while not self._pending and not self._closing:
            self._changed.clear()
            waiting = any(text.unfinished for text in self._texts.values())
            try:
                async with asyncio.timeout(IDLE_SECONDS if waiting else None):
                    await self._changed.wait()
            except TimeoutError:
                self._flush_lines()

    async def _pack(self, seconds: float) -> None:
        """While busy, let more come together: for a while, or until a batch is full."""
        try:
            async with asyncio.timeout(seconds):
                while self._pending_bytes < PACK_BYTES and not self._closing:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    def _take_batch(self) -> tuple[Output, ...]:
        batch: list[Output] = []
        size = 0
        while self._pending and (not batch or size + self._pending[0][1] <= PACK_BYTES):
            output, length = self._pending.popleft()
            batch.append(output)
            size += length
            _COUNTS[output.kind].inc()
        metrics.OUTPUT_BYTES.inc(size)
        self._pending_bytes -= size
        if self._pending_bytes < PENDING_BYTES:
            self._room.set()
        return tuple(batch)


async def publish_for_ever(bus: Bus, message: Message) -> None:
    """Publish what must not be lost, trying again for as long as the bus is away.

    Mandatory: a broker that was set up anew has no queue for it until a scheduler has come back.
    """
    backoff = Backoff(first=0.1, longest=2.0)
    while True:
        try:
            await bus.publish(message, mandatory=True)
        except Exception as exc:
            if not is_passing(exc) and not isinstance(exc, Undeliverable):
                raise
            log.warning("the bus has not taken a %s yet: %s", message.schema_name, exc)
            await asyncio.sleep(backoff.next())
        else:
            return


def _encoded(kind: InterimKind, data: bytes) -> tuple[Encoding, str]:
    if kind == "json":
        return Encoding.JSON, data.decode("utf-8", "replace")
    if kind == "text":
        return Encoding.TEXT, data.decode("utf-8", "replace")
    try:
        return Encoding.UTF8, data.decode()
    except UnicodeDecodeError:
        return Encoding.BASE64, base64.b64encode(data).decode("ascii")
