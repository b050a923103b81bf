"""What the executor's use cases need from the world."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from qrt_contracts.values import (
    Artifact,
    BackendInfo,
    Isolation,
    Limits,
    Payload,
    ProgramKind,
    Resources,
    SkippedFile,
)
from qrt_executor.domain.packages import Wanted
from qrt_executor.domain.verdict import Claim, Exit

Stream = Literal["stdout", "stderr"]
InterimKind = Literal["bytes", "text", "json"]
MemoryBy = Literal["cgroup", "watchdog"]


class SandboxUnavailable(Exception):
    """No sandbox could be had: the zygote is not there. The attempt has not started."""


class SandboxStuck(Exception):
    """Processes of an attempt are still alive after SIGKILL and a pause."""


class BundleUnusable(Exception):
    """The stored bundle is not what the job's record says."""


class BuildFailed(Exception):
    """What a program needs cannot be made; the text is for its owner, and names what is at fault."""

    def __init__(self, detail: str, *, retryable: bool = False, output: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.retryable = retryable
        self.output = output
        """What the tool has said, as it said it: for no eyes but the executor's."""


class InputRefused(Exception):
    """The input cannot be given to a program of this kind; the text is for the job's owner."""


Remark = Callable[[str], None]
"""Takes a line of the runtime's own, for the log of a job or of a build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a sandbox is told to run."""

    source: bytes
    """Of a QUAFU program its one module; of a TEMPLATE the canonical zip of the project; of a CONTAINER
    the zip with its Dockerfile, empty where there is an image."""
    input: str
    backend: str | None
    limits: Limits
    kind: ProgramKind = ProgramKind.QUAFU
    """QUAFU and TEMPLATE are what the runner can run."""
    mode: Literal["run", "describe"] = "run"
    """`describe` imports a TEMPLATE and gives its `Signature` as the result; `input` is not looked at."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What the program sees besides the environment variables that all programs see; it may be secret."""
    network: bool = False
    """The operator lets this program have the host's network."""
    attempt: str = ""
    """Job and number of the attempt, in one word: names what is made for it on the host."""
    bundle: str = ""
    """Digest of the program's bundle."""
    image: str | None = None
    """Of a CONTAINER without a Dockerfile: what the engine pulls."""
    resources: Resources = field(default_factory=Resources)
    packages: Wanted | None = None
    """Of an environment of its own; None where that of its kind will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a program has said of its end; nothing of it is proven."""

    result: bytes | None = None
    error: Claim | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What an attempt's processes hold, shared pages in proportion, and whether that is too much."""

    held_bytes: int
    exceeded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An installed environment, while its holder holds it."""

    key: str
    lock: tuple[str, ...]
    path: Path
    """Holds `venv`, with all packages but those that stand in `trusted`."""


class Environments(Protocol):
    """Where environments come from."""

    def hold(self, wanted: Wanted, *, say: Remark) -> AbstractAsyncContextManager[Environment]:
        """Have an environment while the context lasts, making it first if it is not there.

        Entering it may take minutes and can be cancelled. Raises BuildFailed.
        """


class InvalidCall(Exception):
    """A program has asked what no program of ours asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBudget:
    """What is kept of an output directory."""

    bytes: int
    """All files together."""
    file_bytes: int
    files: int = 1000
    entries: int = 20_000
    """Names that are looked at."""
    depth: int = 16
    """Directories within each other, the output directory included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftFile:
    """A file that a program has left, by its checked path below the output directory."""

    name: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What is in an output directory once every process of the attempt is dead."""

    files: tuple[LeftFile, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()


class Sink(Protocol):
    """Takes what a program writes and publishes, in the order it is read."""

    def log(self, stream: Stream, data: bytes) -> None:
        """Take in bytes written to a stream."""

    def interim(self, kind: InterimKind, data: bytes) -> None:
        """Take in one interim result."""

    def violation(self, detail: str) -> None:
        """The program has broken the protocol; its event socket is not read any further."""

    async def room(self) -> None:
        """Return when more can be taken in; until then nothing is read, and the program waits."""

    async def call(self, question: bytes) -> bytes:
        """Answer a program's question; both are JSON. Raises InvalidCall."""


class Sandbox(Protocol):
    """One single-use sandbox with a parked process. Whoever took it closes it."""

    async def start(self, order: Order) -> None:
        """Hand over the order; the program runs from now on. Raises OSError if the process is gone."""

    async def converse(self, sink: Sink) -> Claims:
        """Read all that the program sends and writes, until the last of it is dead."""

    async def ended(self) -> Exit | None:
        """Wait until every process of the attempt is dead; None if nobody can say how it ended."""

    def terminate(self) -> None:
        """Send SIGTERM to all processes of the attempt."""

    def kill(self) -> None:
        """Kill all processes of the attempt."""

    async def leftovers(self, budget: FileBudget) -> Leftovers:
        """Return what is in the output directory. Only once `ended` has returned."""

    def content(self, file: LeftFile) -> AsyncIterator[bytes]:
        """Read one of them; it yields no more than the file's size. Raises OSError."""

    async def conclude(self, claims: Claims) -> Claims:
        """Add what it has left to what it has said of its end. Only once `leftovers` has returned."""

    async def close(self) -> None:
        """Kill what is left and free everything the sandbox held. Idempotent.

        Whoever converses has ended by then: a descriptor that is closed while the event loop watches it
        takes the next one of its number along.
        """

    @property
    def memory_by(self) -> MemoryBy | None:
        """What holds its memory limit."""

    def memory(self) -> Memory:
        """Return how the attempt stands with its memory."""


class Sandboxes(Protocol):
    """Where sandboxes come from."""

    @property
    def isolation(self) -> Isolation:
        """The level every sandbox has."""

    @property
    def ready(self) -> bool:
        """A sandbox can be had now."""

    async def take(self, limits: Limits, *, network: bool = False) -> Sandbox:
        """Return a sandbox fit for these limits; with the host's network only if `network`.

        Raises SandboxUnavailable.
        """

    async def replace_parent(self, sandbox: Sandbox) -> None:
        """Kill everything that shares the sandbox's parent, which did not answer to SIGKILL."""


class Workshop(Protocol):
    """Makes what programs of some kinds need before they can run, and says where they then do."""

    @property
    def isolation(self) -> Isolation:
        """The level every sandbox has."""

    @property
    def ready(self) -> bool:
        """It takes orders now."""

    @property
    def tried(self) -> bool:
        """Whether it does is known; not so while it has not once seen if its means work."""

    async def prepare(self, order: Order, *, remark: Remark) -> Sandboxes:
        """Make what an order needs and return where its sandbox comes from; cancelled, it stops.

        Raises:
            BuildFailed: it cannot be made; nothing has run.
            InputRefused: the order's input is not for such a program.
            SandboxUnavailable: not now.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What building a version has brought to light."""

    lock: tuple[str, ...] | None = None
    """Of its environment, where it has one."""
    signature: str | None = None
    """A `Signature`, as JSON; None where the program does not tell."""
    image: str | None = None
    """Of a CONTAINER: its image's id, or its digest where it has one that others can fetch it by."""


class VersionBuilder(Protocol):
    """Builds versions of one kind of program, ahead of their jobs."""

    async def build(self, order: Order, *, say: Remark) -> Built:
        """Make what jobs of a version need; each line of the build's log goes to `say`. Cancelled, it stops.

        Of the order all is set but what a job brings along: input and secrets.

        Raises:
            BuildFailed: it cannot be made.
            SandboxUnavailable: not now.
        """


class Bundles(Protocol):
    """Program sources by digest."""

    async def source(self, bundle: Artifact) -> bytes:
        """Return the bundle's bytes. Raises BundleUnusable, or a passing fault of the store."""


class Payloads(Protocol):
    """Large inputs, results and files; the chassis' ArtifactStore."""

    async def put(self, data: bytes | AsyncIterable[bytes], *, limit: int | None = None) -> Artifact:
        """Store a blob. Raises TooLarge past `limit` bytes."""

    async def wrap(self, text: str) -> Payload:
        """Return a payload that holds `text`, storing it apart if it is large."""

    async def unwrap(self, payload: Payload, *, limit: int) -> str:
        """Return the text of a payload. Raises TooLarge past `limit` bytes, NotFound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitOrder:
    """One circuit for a backend."""

    qasm: str
    qubits: int
    shots: int
    gates: frozenset[str]
    name: str = ""
    compile: bool = True
    priority: int = 2


RefusalKind = Literal["circuit", "compile", "user", "token", "no_token", "backend"]
"""Whose fault it is: the circuit's, the settings', the owner's token for a cloud, or the backend's."""


class CircuitRefused(Exception):
    """A backend will not or cannot run a circuit; `kind` is the error that the program gets."""

    def __init__(self, kind: RefusalKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class Bench(Protocol):
    """One attempt's place at a backend. Whoever opened it closes it."""

    async def run(self, circuits: Sequence[CircuitOrder]) -> Sequence[Mapping[str, int] | CircuitRefused]:
        """Run circuits; return the counts of each, or why there are none. Raises CircuitRefused for all."""

    async def close(self) -> None:
        """Cancel what still runs and free everything. Idempotent."""


class Backend(Protocol):
    """Where circuits run."""

    @property
    def info(self) -> BackendInfo:
        """What it is now."""

    @property
    def batch(self) -> int:
        """How many circuits it likes to take at once."""

    @property
    def lanes(self) -> int:
        """How many benches of one attempt it serves at a time."""

    def check(self, circuit: CircuitOrder) -> None:
        """Return if it takes this circuit. Raises CircuitRefused."""

    async def describe(self) -> Mapping[str, Any]:
        """Return all that is known of it, for `task.get_backend_info`. Raises CircuitRefused."""

    async def open(self, *, seed: int | None) -> Bench:
        """Return a place for one attempt. Raises CircuitRefused."""


class Cloud(Protocol):
    """Backends of a service outside, for owners with an account there."""

    @property
    def credential(self) -> str:
        """By which name `Confidential.credentials` has a job's token for it."""

    @property
    def known(self) -> tuple[BackendInfo, ...]:
        """Its backends, as it told them last."""

    async def backends(self, token: str) -> Mapping[str, Backend]:
        """Return its backends by name, for the holder of a token. Raises CircuitRefused."""
