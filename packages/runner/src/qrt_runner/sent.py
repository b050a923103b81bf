"""The circuits that a program has sent: which can go without a question, and how they stand.

Asking the executor and waiting for its answer costs two switches between processes, more than a small
circuit's simulation. So the executor says once what a backend takes for sure; a circuit within it that
the program does not wait for is told and not asked about. And who asks how one circuit stands learns it
of others too.
"""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

ENDED = frozenset({"Completed", "Failed", "Canceled"})
AHEAD = 256
"""Circuits that are asked about together when one is asked for."""
MOST_ASKED = 1000
KEPT = 10_000
MOST_OPEN, MOST_OPEN_BYTES = 5000, 16 << 20
"""Told circuits that may not be known to have ended: half of what the executor takes."""


class Sent:
    """What the program's side knows of its circuits. `ask` and `tell` reach the executor."""

    def __init__(self, ask: Callable[..., Any], tell: Callable[..., None]) -> None:
        self._ask = ask
        self._tell = tell
        self._ids = itertools.count(1)
        self._open: dict[str, int] = {}
        """Bytes by id of circuits that are not known to have ended."""
        self._open_bytes = 0
        self._ended: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._takes: dict[str, dict[str, Any] | None] = {}
        """What a backend takes for sure, by the name it was called; None if it must be asked each time."""

    def send(
        self, circuit: dict[str, Any], *, backend: str, wait: bool, name: str, **more: Any
    ) -> dict[str, Any]:
        """Send a circuit; return how it stands. Raises what `ask` raises."""
        number = next(self._ids)
        fields = {"id": number, "circuit": circuit, "backend": backend, "wait": wait, "name": name, **more}
        if not wait and (takes := self._takes.get(backend)) and self._is_taken(circuit, takes):
            self._tell("send", **fields)
            told = {"id": str(number), "name": name, "backend": takes["name"], "shots": circuit["shots"]}
            told |= {"status": "In Queue", "counts": {}}
        else:
            told = self._ask("send", learn=backend not in self._takes, **fields)
            if "takes" in told:
                takes = told.pop("takes")
                self._takes[backend] = takes and {**takes, "gates": frozenset(takes["gates"])}
        if told["status"] not in ENDED:
            self._open[told["id"]] = len(circuit["qasm"])
            self._open_bytes += len(circuit["qasm"])
        return told

    def stand(self, taskid: str) -> dict[str, Any] | None:
        """Return how a circuit stands, None if nobody remembers it."""
        if (ended := self._ended.get(taskid)) is not None:
            return ended
        others = itertools.islice((each for each in self._open if each != taskid), AHEAD - 1)
        return self._look([taskid], others=list(others)).get(taskid)

    def stand_together(self, taskids: list[str]) -> dict[str, dict[str, Any]]:
        """Return how circuits stand; without those that nobody remembers."""
        unknown = [each for each in taskids if each not in self._ended]
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(unknown), MOST_ASKED):
            found |= self._look(unknown[start : start + MOST_ASKED])
        return found | {each: self._ended[each] for each in taskids if each in self._ended}

    def _is_taken(self, circuit: dict[str, Any], takes: dict[str, Any]) -> bool:
        """Tell whether the executor would take a circuit, so that it need not be asked."""
        if circuit["qubits"] > takes["qubits"] or circuit["shots"] > takes["shots"]:
            return False
        if not takes["gates"].issuperset(circuit["gates"]) or len(circuit["qasm"]) > takes["bytes"]:
            return False
        if self._is_full():
            self._look(list(itertools.islice(self._open, MOST_ASKED)))
        return not self._is_full()

    def _is_full(self) -> bool:
        return len(self._open) >= MOST_OPEN or self._open_bytes > MOST_OPEN_BYTES

    def _look(self, taskids: list[str], *, others: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
        """Ask how circuits stand, and which of `others` have ended."""
        found = {each["id"]: each for each in self._ask("retrieve", ids=taskids, others=others)["circuits"]}
        self._ended |= {taskid: told for taskid, told in found.items() if told["status"] in ENDED}
        forgotten = [taskid for taskid in taskids if taskid not in found]
        for taskid in [*forgotten, *(taskid for taskid in found if taskid in self._ended)]:
            self._open_bytes -= self._open.pop(taskid, 0)
        while len(self._ended) > KEPT:
            self._ended.popitem(last=False)
        return found
