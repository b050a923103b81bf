"""What a program finds: its place, its environment, quafu as older programs know it."""

import json

import pytest

from tests.integration.executor.rig import Rig, body
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO = '''\
import numpy as np
from quafu import QuantumCircuit
from quafu import simulate

def prepare_circuits():
    q = QuantumCircuit(5)
    q.x(0)
    q.x(1)
    q.cnot(2, 1)
    q.ry(1, np.pi / 2)
    q.rx(2, np.pi)
    q.rz(3, 0.1)
    q.cz(2, 3)
    measures = [0, 1, 2, 3]
    cbits = [0, 1, 2, 3]
    q.measure(measures,  cbits=cbits)
    return q

def run(backend, userpub, params):
    """The entry point of the program."""
    q = prepare_circuits()
    simu_res = simulate(q)
    print("Hello World!", params)
    return {
        "num": simu_res.num,
        "probabilities": simu_res.probabilities.tolist(),
    }
'''


async def test_the_hello_program_runs_unchanged(executor: Rig) -> None:
    told = await executor.run(HELLO, given='{"TestParam1": "xxxxxx"}')
    assert told.end.end == "succeeded", told.end
    result = json.loads(told.result)
    assert result["num"] == 4
    assert result["probabilities"][10] == pytest.approx(0.5)
    assert result["probabilities"][14] == pytest.approx(0.5)
    assert told.log == "Hello World! {'TestParam1': 'xxxxxx'}\n"


async def test_a_program_sees_nothing_of_the_services_environment(
    executor: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QRT_SECRET", "hidden")
    told = await executor.run(body("import os", "return dict(os.environ)"))
    environ = json.loads(told.result)
    assert "hidden" not in told.result
    assert not [name for name in environ if name.startswith(("QRT", "PYTHON", "VIRTUAL"))]
    assert environ["OMP_NUM_THREADS"] == "1"


async def test_a_program_has_a_working_directory_of_its_own_that_goes_away(executor: Rig) -> None:
    source = body(
        "import os, tempfile",
        "open('left', 'w').write('x')",
        "os.mkdir('closed'); open('closed/in', 'w').close(); os.chmod('closed', 0)",
        "open(os.path.join(os.environ['OUTPUT_DIRECTORY'], 'out'), 'w').close()",
        "tempfile.mkstemp()",
        "return [os.getcwd(), os.environ['HOME'], os.environ['OUTPUT_DIRECTORY'], os.listdir('.')]",
    )
    first, second = [json.loads((await executor.run(source)).result) for _ in range(2)]
    assert first[0] == first[1]
    assert sorted(second[3]) == ["closed", "left"]
    left = "qrt-attempt-*/work/left"
    await wait_until(lambda: not list(executor.settings.scratch.glob(left)), description="both taken away")


async def test_two_attempts_do_not_repeat_each_others_random_numbers(executor: Rig) -> None:
    source = body("import random, numpy", "return [random.random(), numpy.random.rand()]")
    first, second = [json.loads((await executor.run(source)).result) for _ in range(2)]
    assert first[0] != second[0]
    assert first[1] != second[1]


async def test_a_run_that_is_async_is_awaited(executor: Rig) -> None:
    told = await executor.run(
        "import asyncio\n\n"
        "async def run(task, userpub, params):\n    await asyncio.sleep(0)\n    return params\n",
        given='{"a": 1}',
    )
    assert told.result == '{"a": 1}'


async def test_a_main_guard_does_not_run(executor: Rig) -> None:
    told = await executor.run(
        body("return __name__") + "if __name__ == '__main__':\n    raise SystemExit(1)\n"
    )
    assert told.result == '"program"'


async def test_a_process_has_no_descriptor_but_its_own(executor: Rig) -> None:
    source = body(
        "import os",
        "held = []",
        "for fd in range(1024):",
        "    try: held.append(os.fstat(fd) and fd)",
        "    except OSError: pass",
        "return held",
    )
    assert json.loads((await executor.run(source)).result) == [0, 1, 2, 3]


async def test_a_program_never_runs_as_root(executor: Rig) -> None:
    told = await executor.run(
        body("import os", "return [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()]")
    )
    uid, euid, gid, groups = json.loads(told.result)
    assert 0 not in (uid, euid, gid)
    assert 0 not in groups


TASK = """\
import numpy as np
from quafu import QuantumCircuit, Task, User
def run(task: Task, userpub, params):
    user = User()
    user.save_apitoken("token")
    user.load_account()
    task.load_account()
    task.config(backend="ScQ-P18", shots=100, compile=True)
    q = QuantumCircuit(3)
    q.x(0)
    q.measure([0, 2], cbits=[2, 0])
    res = task.send(q, wait=True)
    _, expectations = task.submit(q, [["Z", [0]], ["Z", [2]]])
    return {"res": res.res, "counts": dict(res.counts), "probabilities": res.probabilities,
            "amplitudes": res.amplitudes, "obs": res.calculate_obs([0]),
            "expectations": [float(e) for e in expectations], "task": isinstance(task, Task)}
"""


async def test_task_simulates_and_gives_what_quafu_gives(executor: Rig) -> None:
    told = await executor.run(TASK)
    assert told.end.end == "succeeded", told.end
    result = json.loads(told.result)
    assert result["res"] == {"01": 100}, "the k-th character is the k-th smallest classical bit"
    assert result["counts"] == result["res"]
    assert result["probabilities"] == result["amplitudes"] == {"01": 1.0}
    assert result["obs"] == pytest.approx(-1)
    assert result["expectations"] == pytest.approx([-1, 1])
    assert result["task"] is True


async def test_what_quafu_draws_and_compiles_with_is_loaded_when_a_program_uses_it(executor: Rig) -> None:
    told = await executor.run(
        body(
            "import sys",
            "import numpy as np, quafu",
            "from quafu.simulators import default_simulator",
            "from quafu.elements import pulses",
            "heavy = ('matplotlib', 'networkx', 'numba', 'requests')",
            "unused = [name for name in heavy if name in sys.modules]",
            "q = quafu.QuantumCircuit(2)",
            "q.h(0)",
            "q.measure([0, 1])",
            "quafu.simulate(q).plot_probabilities()",
            "import matplotlib.pyplot as plt",
            "bars = len(plt.gca().patches)",
            "erf = float(pulses.erf(0.0))",
            "coo = default_simulator.COO.from_numpy(np.eye(2))",
            "import networkx, sparse",
            "own = isinstance(coo, sparse.COO) and isinstance(coo, default_simulator.SparseArray)",
            "return [unused, bars, erf, own, networkx.Graph().number_of_nodes()]",
        )
    )
    assert told.end.end == "succeeded", told.detail
    assert json.loads(told.result) == [[], 2, 0.0, True, 0]


async def test_quafu_still_catches_what_the_library_raises_that_it_asks_its_website_with(
    executor: Rig,
) -> None:
    told = await executor.run(
        body(
            "from quafu.exceptions import ServerError",
            "from quafu.utils.client_wrapper import ClientWrapper",
            "try:",
            "    ClientWrapper.post('http://127.0.0.1:9/', timeout=5)",
            "except ServerError as error:",
            "    import requests",
            "    return isinstance(error.__cause__, requests.exceptions.RequestException)",
        )
    )
    assert told.end.end == "succeeded", told.detail
    assert json.loads(told.result) is True
