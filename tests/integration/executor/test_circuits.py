"""Circuits that a program sends through `task`, run by the simulator in a real sandbox."""

import json
from typing import Any

import pytest

from qrt_contracts.values import OutputKind
from tests.integration.executor.rig import Rig, Told, body
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.quafu, pytest.mark.asyncio(loop_scope="session")]

BELL = (
    "import quafu",
    "def bell(n=2):",
    "    q = quafu.QuantumCircuit(n)",
    "    q.h(0)",
    "    for i in range(n - 1):",
    "        q.cnot(i, i + 1)",
    "    q.measure(list(range(n)), cbits=list(range(n)))",
    "    return q",
)


def caught(call: str) -> tuple[str, ...]:
    """Return lines that return the class and text of what `call` raises."""
    return (
        *BELL,
        "q = bell()",
        "try:",
        f"    {call}",
        "except Exception as exc:",
        "    return [type(exc).__name__, str(exc)]",
    )


async def ran(executor: Rig, *lines: str, **fields: Any) -> Told:
    order = await executor.order(body(*lines))
    run = order.run.model_copy(update=fields)
    return await executor.end_of(await executor.send(order.model_copy(update={"run": run})), seconds=60)


def circuits(told: Told) -> list[dict[str, Any]]:
    return [json.loads(each.data) for each in told.outputs if each.kind is OutputKind.CIRCUIT]


async def test_a_circuit_is_run_recorded_and_told(executor: Rig) -> None:
    told = await ran(
        executor,
        *BELL,
        "from quafu.results.results import ExecResult",
        "assert isinstance(task, quafu.Task)",
        "task.config(backend='simulator', shots=500, compile=True)",
        "r = task.send(bell(), name='pair', group='g')",
        "assert isinstance(r, ExecResult)",
        "assert r.res == dict(r.counts)",
        "assert r.transpiled_circuit.num == 2",
        "total = sum(r.probabilities.values())",
        "return [sorted(r.counts), sum(r.counts.values()), total, r.backend, r.task_status]",
    )
    assert json.loads(told.result) == [["00", "11"], 500, 1.0, "simulator", "Completed"]
    (record,) = circuits(told)
    shown = {key: record[key] for key in ("id", "name", "group", "backend", "qubits", "shots", "status")}
    assert shown == {
        "id": "1",
        "name": "pair",
        "group": "g",
        "backend": "simulator",
        "qubits": 2,
        "shots": 500,
        "status": "completed",
    }
    assert record["sent_at"] <= record["ended_at"]


async def test_a_seed_fixes_what_is_sampled(executor: Rig) -> None:
    lines = (*BELL, "return [dict(task.send(bell(3)).counts) for _ in range(3)]")
    first, again = [json.loads((await ran(executor, *lines, seed=7)).result) for _ in range(2)]
    other = json.loads((await ran(executor, *lines, seed=8)).result)
    assert first == again
    assert first != other
    assert first[0] != first[1]


async def test_a_circuit_sent_without_waiting_is_retrieved_later(executor: Rig) -> None:
    told = await ran(
        executor,
        *BELL,
        "import time",
        "sent = [task.send(bell(), wait=False, group='g') for _ in range(5)]",
        "assert task.get_history() == {'g': [s.taskid for s in sent]}",
        "while len(done := task.retrieve_group('g', verbose=False)) < 5: time.sleep(0.01)",
        "return [sum(each.counts.values()) for each in done] + [task.retrieve(sent[0].taskid).task_status]",
    )
    assert json.loads(told.result) == [1000] * 5 + ["Completed"]


async def test_circuits_that_are_not_waited_for_are_refused_at_once_all_the_same(executor: Rig) -> None:
    told = await ran(
        executor,
        *BELL,
        "import quafu.exceptions as errors",
        "task.send(bell(), wait=False, group='g')",  # what the backend takes is known from here on
        "said = []",
        "def refused(call):",
        "    try: call()",
        "    except errors.QuafuError as exc: said.append([type(exc).__name__, str(exc)])",
        "refused(lambda: task.send(bell(300), wait=False))",
        "q = bell(); q.gates[0].name = 'BOGUS'",
        "refused(lambda: task.send(q, wait=False))",
        "refused(lambda: task.send(quafu.QuantumCircuit(2), wait=False))",
        "refused(lambda: task.send(bell(), name='x' * 300, wait=False))",
        "refused(lambda: task.retrieve_group('nobody'))",
        "for _ in range(300): task.send(bell(), wait=False, group='g')",
        "task.retrieve_group('g')",
        "while len(done := task.retrieve_group('g', verbose=False)) < 301: pass",
        "return [said, sum(sum(each.counts.values()) for each in done)]",
    )
    said, shots = json.loads(told.result)
    assert [kind for kind, _ in said] == ["CircuitError"] * 3 + ["UserError"] * 2
    assert "300 qubits are too many" in said[0][1]
    assert "name has at most 256 characters" in said[3][1]
    assert shots == 301_000
    assert "Group:  g\n" in told.log
    assert [int(each["id"]) for each in circuits(told)][-1] >= 301


async def test_noise_is_simulated_as_the_circuit_says_and_fixed_by_the_seed(executor: Rig) -> None:
    told = await ran(
        executor,
        *BELL,
        "task.config(shots=100_000)",
        "q = quafu.QuantumCircuit(2)",
        "q.x(0)",
        "q.cnot(0, 1)",
        "q.measure([0, 1], cbits=[0, 1])",
        "q.add_noise('ampdamping', [0.3], qubits=[1], gates=['cx'])",
        "counts = dict(task.send(q).counts)",
        "try: task.send(bell(11).add_noise('bitflip', [0.1], qubits=[0]))",
        "except quafu.exceptions.CircuitError as exc: return [counts, str(exc)]",
        seed=3,
    )
    counts, refused = json.loads(told.result)
    assert set(counts) == {"10", "11"}
    assert counts["10"] == pytest.approx(30_000, abs=1000)
    assert "11 qubits are too many: the simulator takes 10 with noise" in refused


async def test_a_program_that_talks_past_its_task_is_ended(executor: Rig) -> None:
    told = await ran(executor, "task.calls.tell('send', id=1)", "import time", "time.sleep(60)")
    assert told.end.end == "failed"
    assert "a question that is none of a task's" in told.detail


async def test_a_program_that_does_not_wait_for_what_takes_long_is_ended(
    executor: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qrt_executor.adapters.jail._TELL_SECONDS", 0.2)
    told = await ran(
        executor,
        *BELL,
        "q = bell(22)",
        "for _ in range(2000): q.rx(3, 0.1)",
        "body = {'qasm': q.to_openqasm(), 'qubits': 22, 'shots': 1, 'gates': []}",
        "task.calls.tell('send', id=1, circuit=body, backend='simulator', wait=True)",
        "import time",
        "time.sleep(60)",
    )
    assert told.end.end == "failed"
    assert "what takes an answer, and did not wait for one" in told.detail


async def test_observables_are_measured_in_their_bases(executor: Rig) -> None:
    told = await ran(
        executor,
        *BELL,
        "task.config(shots=2000)",
        "results, values = task.submit(bell(), [['XX', [0, 1]], ['ZZ', [0, 1]], ['Z', [0]]])",
        "alone = task.run(bell())",
        "return [values[0], values[1], bool(abs(values[2]) < 0.2), sum(alone.counts.values())]",
        seed=1,
    )
    assert json.loads(told.result) == [1.0, 1.0, True, 2000]


async def test_the_backend_is_told(executor: Rig) -> None:
    told = await ran(
        executor,
        *BELL,
        "info = task.get_backend_info()",
        "return [info['name'], info['qubits'], task.check_valid_gates(bell())]",
    )
    assert json.loads(told.result) == ["simulator", 24, None]


async def test_the_name_of_a_device_that_is_not_here_is_simulated_with_a_warning(executor: Rig) -> None:
    told = await ran(
        executor,
        *BELL,
        "task.config(backend='ScQ-P10', shots=10)",
        "return [task.send(bell()).backend for _ in range(2)]",
    )
    assert json.loads(told.result) == ["simulator"] * 2
    assert told.stream("system").count("there is no backend 'ScQ-P10' here") == 1


async def test_a_job_meant_for_a_device_that_is_not_here_is_told_so(executor: Rig) -> None:
    told = await ran(executor, *caught("task.send(q)"), backend="ScQ-P10")
    assert "there is no backend 'ScQ-P10' here; there is: simulator" in told.result


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        ("task.config(shots=0)", "UserError", "shots must be a whole number of at least 1, not 0"),
        ("task.shots = 0; task.send(q)", "UserError", "shots must be a whole number"),
        ("task.config(shots=10**7); task.send(q)", "UserError", "shots are too many"),
        ("task.send(quafu.QuantumCircuit(2))", "CircuitError", "the circuit measures no qubit"),
        ("q = bell(25); q.rx(0, 0.3); task.send(q)", "CircuitError", "25 qubits are too many"),
        ("q = bell(300); task.send(q)", "CircuitError", "300 qubits are too many"),
        ("task.send('circuit')", "CircuitError", "takes a QuantumCircuit, not str"),
        ("task.retrieve('17')", "UserError", "no task 17 was sent in this job"),
        ("q.gates[0].name = 'BOGUS'; task.send(q)", "CircuitError", "gate BOGUS"),
        ("q.gates[0].name = 'BOGUS'; task.check_valid_gates(q)", "CircuitError", "'bogus' for backend"),
    ],
)
async def test_errors_are_clear_and_can_be_caught(executor: Rig, call: str, kind: str, text: str) -> None:
    told = await ran(executor, *caught(call))
    raised, said = json.loads(told.result)
    assert raised == kind
    assert text in said


async def test_a_large_circuit_of_clifford_gates_is_simulated_as_such(executor: Rig) -> None:
    told = await ran(executor, *BELL, "return sorted(task.send(bell(32)).counts)")
    assert json.loads(told.result) == ["0" * 32, "1" * 32]


async def test_circuits_that_wait_are_cancelled_with_their_job(executor: Rig) -> None:
    order = await executor.order(
        body(
            *BELL,
            "q = bell(20)",
            "for i in range(20):",
            "    for j in range(200): q.rx(i, 0.1)",
            "for _ in range(50): task.send(q, wait=False)",
            "print('sent')",
            "task.send(q)",
        )
    )
    told = await executor.send(order)
    await wait_until(lambda: "sent" in told.log, description="all circuits are sent", seconds=30)
    await executor.cancel(order)
    await executor.end_of(told)
    assert told.end.end == "cancelled"
    records = circuits(told)
    assert len(records) >= 50
    assert records[-1]["status"] == "cancelled"


async def test_a_thousand_circuits_are_all_run(executor: Rig) -> None:
    told = await ran(
        executor, *BELL, "return sum(sum(task.send(bell()).counts.values()) for _ in range(1000))"
    )
    assert json.loads(told.result) == 1_000_000
    assert len(circuits(told)) == 1000
