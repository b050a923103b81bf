"""What the program's side knows of its circuits."""

from typing import Any

import pytest

from qrt_runner.sent import Sent

pytestmark = pytest.mark.quafu

TAKES = {"name": "simulator", "qubits": 24, "gates": ["h", "cx"], "shots": 1000, "bytes": 100}


class Executor:
    """Answers as the executor does; `ended` are the circuits that have."""

    def __init__(self, takes: dict[str, Any] | None) -> None:
        self.takes = takes
        self.asked: list[tuple[str, Any]] = []
        self.told: list[int] = []
        self.ended: set[str] = set()
        self.forgotten: set[str] = set()

    def ask(self, method: str, **fields: Any) -> Any:
        if method == "send":
            self.asked.append((method, fields["id"]))
            told = self._stand(str(fields["id"]))
            return told | ({"takes": self.takes} if fields["learn"] else {})
        self.asked.append((method, fields["ids"]))
        known = [*fields["ids"], *(each for each in fields["others"] if each in self.ended)]
        return {"circuits": [self._stand(each) for each in known if each not in self.forgotten]}

    def tell(self, method: str, **fields: Any) -> None:
        assert method == "send"
        self.told.append(fields["id"])

    def _stand(self, taskid: str) -> dict[str, Any]:
        return {"id": taskid, "status": "Completed" if taskid in self.ended else "Running"}


def circuit(
    qasm: str = "", *, qubits: int = 2, shots: int = 10, gates: tuple[str, ...] = ("h",)
) -> dict[str, Any]:
    return {"qasm": qasm, "qubits": qubits, "shots": shots, "gates": list(gates)}


def sender(takes: dict[str, Any] | None = TAKES) -> tuple[Sent, Executor]:
    executor = Executor(takes)
    return Sent(executor.ask, executor.tell), executor


def send(sent: Sent, one: dict[str, Any], *, wait: bool = False) -> str:
    return str(sent.send(one, backend="s", wait=wait, name="n", group="g")["id"])


def test_once_it_is_known_what_is_taken_circuits_are_told_and_not_asked_about() -> None:
    sent, executor = sender()
    assert [send(sent, circuit()) for _ in range(3)] == ["1", "2", "3"]
    assert (executor.asked, executor.told) == ([("send", 1)], [2, 3])


@pytest.mark.parametrize(
    "odd", [circuit(qubits=25), circuit(shots=1001), circuit(gates=("h", "bogus")), circuit("x" * 101)]
)
def test_what_may_not_be_taken_is_asked_about(odd: dict[str, Any]) -> None:
    sent, executor = sender()
    send(sent, circuit())
    send(sent, odd)
    send(sent, circuit(), wait=True)
    assert executor.asked == [("send", 1), ("send", 2), ("send", 3)]


def test_a_backend_that_looks_at_each_circuit_is_asked_each_time() -> None:
    sent, executor = sender(None)
    for _ in range(3):
        send(sent, circuit())
    assert (len(executor.asked), executor.told) == (3, [])


def test_who_asks_about_one_learns_of_the_others() -> None:
    sent, executor = sender()
    ids = [send(sent, circuit()) for _ in range(5)]
    executor.ended = set(ids)
    assert all(sent.stand(each) == {"id": each, "status": "Completed"} for each in ids)
    assert len(executor.asked) == 2


def test_circuits_are_asked_about_together_in_bounded_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qrt_runner.sent.MOST_ASKED", 2)
    sent, executor = sender()
    ids = [send(sent, circuit()) for _ in range(5)]
    executor.ended, executor.forgotten = {"1"}, {"5"}
    assert {key: each["status"] for key, each in sent.stand_together(ids).items()} == {
        "1": "Completed",
        "2": "Running",
        "3": "Running",
        "4": "Running",
    }
    assert [len(asked) for method, asked in executor.asked if method == "retrieve"] == [2, 2, 1]
    assert sent.stand("5") is None


@pytest.mark.parametrize("bound", ["MOST_OPEN", "MOST_OPEN_BYTES"])
def test_told_circuits_are_bounded_until_they_are_known_to_have_ended(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"qrt_runner.sent.{bound}", 3)
    sent, executor = sender()
    for _ in range(6):
        send(sent, circuit("q"))
    assert len(executor.told) < 5
    told = len(executor.told)
    executor.ended = {"1", "2", "3", "4", "5", "6"}
    send(sent, circuit("q"))
    assert len(executor.told) == told + 1
