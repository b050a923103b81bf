"""The HTTP interface of the Quafu cloud, as pyquafu 0.4.5 itself speaks it.

All requests are POST with the header `api_token`; forms go out URL-encoded with plain apostrophes.
Answers are JSON. `status` (or `code`) 201, 205 and 400 are the account's fault, 5001 the circuit's, 5003 the
service's, 5004 its compiler's; in the answer about a task any other `status` is the task's own state.

| path | form | answer |
|---|---|---|
| `qbackend/get_backends/` | none | `data`: a list of devices |
| `qbackend/scq_get_chip_info/` | `system_name`, lower case | `topological_structure` and more |
| `qbackend/scq_kit_asyc/` | a circuit | a task |
| `qbackend/scq_task_recall/` | `task_id` | a task |
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

import httpx
import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from qrt_executor.ports import CircuitOrder, CircuitRefused, RefusalKind

log = logging.getLogger(__name__)

VERSION = "0.4.5"
"""The pyquafu whose requests these are."""
MAX_ANSWER_BYTES = 16 << 20
PAUSES = (0.5, 2.0, 5.0)
"""Seconds before each further try of a request that met no answer, or one that may not last."""
ANSWER_SECONDS = 60.0
"""The longest one answer may take to come whole, however steadily it drips."""
MAX_TEXT = 500
_KINDS: Mapping[int, RefusalKind] = {
    201: "user", 205: "user", 400: "user", 5001: "circuit", 5003: "backend", 5004: "compile",
}  # fmt: skip


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Device(_Answer):
    """A machine of the cloud."""

    system_name: str = Field(min_length=1, max_length=128)
    system_id: int
    qubits: int = Field(ge=0)
    status: str = ""
    valid_gates: tuple[str, ...] = ()
    queued_len: int = 0

    @field_validator("valid_gates", mode="before")
    @classmethod
    def _as_names(cls, value: Any) -> Any:
        names = value.split(",") if isinstance(value, str) else value or ()
        return tuple(str(each).strip(" '\"[]").lower() for each in names)


class CloudTask(_Answer):
    """A circuit that the cloud has taken."""

    task_id: str = Field(min_length=1, max_length=256)
    status: int
    """0 in queue, 1 running, 2 completed, 3 cancelled, 4 failed, 5 pending."""
    res: str = "{}"
    """A dictionary of counts by bitstring, as Python writes it."""

    @field_validator("task_id", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value

    def counts(self) -> Mapping[str, int]:
        """Return the counts of a completed task. Raises CircuitRefused."""
        try:
            return _COUNTS.validate_json(self.res.replace("'", '"'), strict=True)
        except ValidationError:
            raise CircuitRefused(
                "backend", f"the Quafu cloud's result of task {self.task_id} has no counts"
            ) from None


_DEVICES: TypeAdapter[list[Device]] = TypeAdapter(list[Device])
_COUNTS: TypeAdapter[dict[str, int]] = TypeAdapter(
    dict[Annotated[str, Field(pattern=r"^[01]+$")], Annotated[int, Field(ge=0)]]
)


class QuafuApi:
    """Sends requests for the holder of a token. What it raises never tells the token."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        *,
        pauses: Sequence[float] = PAUSES,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._http = http
        self._answer_seconds = answer_seconds
        self._url = url.rstrip("/") + "/qbackend/"
        self._pauses = pauses

    async def devices(self, token: str) -> list[Device]:
        """Return the machines there are. Raises CircuitRefused."""
        answer = await self._post("get_backends/", token)
        _require_ok(answer, token)
        try:
            return _DEVICES.validate_python(answer.get("data"))
        except ValidationError:
            raise CircuitRefused("backend", "the Quafu cloud's list of devices cannot be read") from None

    async def chip(self, token: str, device: str) -> dict[str, Any]:
        """Return the calibration of a machine. Raises CircuitRefused."""
        answer = await self._post("scq_get_chip_info/", token, {"system_name": device.lower()})
        _require_ok(answer, token)
        return answer

    async def submit(self, token: str, device: Device, circuit: CircuitOrder) -> CloudTask:
        """Hand in a circuit; one whose answer was lost is handed in again. Raises CircuitRefused."""
        form = {
            "qtasm": circuit.qasm,
            "shots": circuit.shots,
            "qubits": circuit.qubits,
            "scan": 0,
            "tomo": 0,
            "selected_server": device.system_id,
            "compile": int(circuit.compile),
            "priority": circuit.priority,
            "task_name": circuit.name,
            "pyquafu_version": VERSION,
            "runtime_job_id": "",
        }
        return _task(await self._post("scq_kit_asyc/", token, form), token)

    async def recall(self, token: str, task_id: str) -> CloudTask:
        """Return how a task stands. Raises CircuitRefused."""
        return _task(await self._post("scq_task_recall/", token, {"task_id": task_id}), token)

    async def _post(self, path: str, token: str, form: Mapping[str, Any] | None = None) -> dict[str, Any]:
        body = urlencode(form or {}).replace("%27", "'").encode()
        why = ""
        for pause in (*self._pauses, None):
            try:
                async with asyncio.timeout(self._answer_seconds):
                    status, content = await self._try(path, token, body)
            except (httpx.TransportError, TimeoutError) as exc:
                why = type(exc).__name__
            except httpx.HTTPError:
                raise CircuitRefused("backend", "the Quafu cloud's answer cannot be read") from None
            else:
                if status != 429 and status < 500:
                    return _read(status, content)
                why = f"HTTP {status}"
            if pause is None:
                break
            log.info("the Quafu cloud did not answer %s: %s", path, why)
            await asyncio.sleep(pause)
        tries = len(self._pauses) + 1
        raise CircuitRefused("backend", f"the Quafu cloud does not answer ({why}, {tries} tries)")

    async def _try(self, path: str, token: str, body: bytes) -> tuple[int, bytes]:
        headers = {
            "api_token": token,
            "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8",
        }
        content = bytearray()
        async with self._http.stream("POST", self._url + path, headers=headers, content=body) as answer:
            async for chunk in answer.aiter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise CircuitRefused("backend", "the Quafu cloud's answer is too large")
        return answer.status_code, bytes(content)


def _read(status: int, content: bytes) -> dict[str, Any]:
    if status in (401, 403):
        raise CircuitRefused("token", f"the Quafu cloud refuses the token (HTTP {status})")
    if status != 200:
        raise CircuitRefused("backend", f"the Quafu cloud refuses the request (HTTP {status})")
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise CircuitRefused("backend", "the Quafu cloud's answer is not of its published form")
    return answer


def _require_ok(answer: Mapping[str, Any], token: str) -> None:
    """Return if the service has not refused. Raises CircuitRefused, by the numbers of pyquafu."""
    code = answer.get("status", answer.get("code"))
    kind = _KINDS.get(code) if isinstance(code, int) else None
    if kind is None:
        return
    said = _told(answer.get("message", answer.get("msg")), token) or "No error message"
    if kind == "user" and "token" in said.casefold():
        kind = "token"
    raise CircuitRefused(kind, f"the Quafu cloud says: {said}")


def _task(answer: Mapping[str, Any], token: str) -> CloudTask:
    _require_ok(answer, token)
    try:
        return CloudTask.model_validate(answer)
    except ValidationError:
        raise CircuitRefused("backend", "the Quafu cloud's answer about a task cannot be read") from None


def _told(text: object, token: str) -> str:
    """Return what the service says, in printable characters and without the token."""
    shown = str(text or "").replace(token, "***")[:MAX_TEXT]
    return "".join(each if each.isprintable() else " " for each in shown).strip()
