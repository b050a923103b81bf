"""Every way a job can end says why, keeps its log, and harms nobody."""

import json
from typing import Any

import pytest

from tests.system.client import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

RUN = "def run(task, userpub, params):\n"


def program(*lines: str) -> str:
    return RUN + '    print("before", flush=True)\n' + "".join(f"    {line}\n" for line in lines)


CASES: list[tuple[str, str, str, str]] = [
    ("an exception", program('raise ValueError("no such thing")'), "ProgramError", "no such thing"),
    ("an error deep down", program("return [1][5]"), "ProgramError", "IndexError"),
    ("endless recursion", program("def f(): f()", "f()"), "ProgramError", "recursion"),
    ("sys.exit", program("import sys", "sys.exit(3)"), "ProgramExited", "3"),
    ("os._exit", program("import os", "os._exit(4)"), "ProgramExited", "4"),
    ("a clean exit without a result", program("import os", "os._exit(0)"), "ProgramExited", "0"),
    (
        "a segmentation fault",
        program("import ctypes", "ctypes.string_at(0)"),
        "KilledBySignal",
        "SIGSEGV",
    ),
    (
        "a signal to itself",
        program("import os, signal", "os.kill(os.getpid(), signal.SIGKILL)"),
        "KilledBySignal",
        "SIGKILL",
    ),
    ("an object", program('return {"a": [1, object()]}'), "InvalidResult", "/a/1"),
    ("a module", program("import os", 'return {"z": {1j: os}}'), "InvalidResult", "/z"),
    ("a cycle", program("x = []", "x.append(x)", "return x"), "InvalidResult", ""),
    ("an unpublishable value", program("userpub.publish(object())"), "ProgramError", "TypeError"),
    (
        "an exception that cannot be printed",
        "class Bad(BaseException):\n    def __str__(self):\n        raise RuntimeError\n"
        + program("raise Bad()"),
        "ProgramError",
        "Bad",
    ),
]


@pytest.mark.parametrize(("what", "source", "code", "told"), CASES, ids=[case[0] for case in CASES])
async def test_a_job_that_does_not_succeed_says_why_and_keeps_its_log(
    api: Api, what: str, source: str, code: str, told: str
) -> None:
    result = await api.run(source)
    assert result["status"] == "FAILED"
    problem = result["problem"]
    assert problem["code"] == code, problem
    assert problem["title"]
    assert told in problem["detail"] + (problem["traceback"] or ""), problem
    assert result["log"].startswith("before\n")


async def test_a_traceback_has_the_programs_lines_and_none_of_the_runtimes(api: Api) -> None:
    source = "def helper(x):\n    return 1 / x\n\n\n" + RUN + "    return helper(params['x'])\n"
    result = await api.run(source, {"x": 0})
    traceback = result["problem"]["traceback"]
    assert "return 1 / x" in traceback
    assert "return helper(params['x'])" in traceback
    assert "ZeroDivisionError" in traceback
    assert "qrt_runner" not in traceback


async def test_a_program_that_fails_at_import_says_so(api: Api) -> None:
    result = await api.run("import no_such_module\n" + RUN + "    return 1\n")
    assert result["problem"]["code"] == "ImportFailed"
    assert "no_such_module" in result["problem"]["detail"]
    assert "import no_such_module" in result["problem"]["traceback"]


async def test_a_program_that_never_returns_is_ended_at_its_time_limit(api: Api) -> None:
    source = program("print('still here', flush=True)", "while True: pass")
    result = await api.run(source, limits={"wall_seconds": 0.5})
    assert result["problem"]["code"] == "TimeLimitExceeded"
    assert "0.5" in result["problem"]["detail"]
    assert "still here" in result["log"]


async def test_a_program_that_ignores_sigterm_and_forks_away_is_cancelled_all_the_same(api: Api) -> None:
    source = program(
        "import os, signal, time",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "if os.fork() == 0:",
        "    os.setsid()",
        "    if os.fork() == 0:",
        "        time.sleep(600)",
        "    os._exit(0)",
        "print('deaf', flush=True)",
        "time.sleep(600)",
    )
    job = await api.submit(await api.upload(source))
    await api.until_logged(job, "deaf")
    reply = await api.http.post(f"/v1/jobs/{job['id']}/cancel")
    assert reply.status_code == 200
    result = await api.result(job)
    assert (result["status"], result["problem"]["code"]) == ("CANCELLED", "Cancelled")


async def test_a_flood_of_output_is_kept_up_to_the_limit_and_counted_beyond(api: Api) -> None:
    source = program("for _ in range(1000): print('x' * 100_000)", "return 'done'")
    result = await api.run(source, limits={"log_bytes": 1 << 20})
    assert (result["status"], result["result"]) == ("SUCCEEDED", "done")
    assert len(result["log"]) < 2 << 20
    assert "dropped" in result["log"][-200:]


async def test_interim_results_beyond_their_limit_end_the_job_with_what_came_before(api: Api) -> None:
    source = program("for n in range(1000): userpub.publish(n)")
    result = await api.run(source, limits={"interim_count": 10})
    assert result["problem"]["code"] == "OutputLimitExceeded"
    interim = [each for each in await api.outputs(result["job"]) if each["kind"] == "interim"]
    assert [json.loads(each["data"]) for each in interim] == list(range(10))


async def test_a_large_result_and_a_large_input_arrive_whole(api: Api) -> None:
    value = {"blob": "é" * 400_000, "n": [0.1, -1, 2**53]}
    result = await api.run(program("return params"), value)
    assert result["result"] == value


@pytest.mark.parametrize(
    "value", [None, True, 0, 1.5, "text", [], {}, {"$set": {"a.b": "\x00"}, "": [None]}, 2**63]
)
async def test_any_json_input_reaches_the_program_and_comes_back(api: Api, value: Any) -> None:
    result = await api.run(RUN + "    return params\n", value)
    assert result["result"] == value


async def test_a_program_sees_nothing_of_the_service(api: Api) -> None:
    source = RUN + "    import os\n    return dict(os.environ)\n"
    environ = (await api.run(source))["result"]
    told = json.dumps(environ).lower()
    for secret in ("qrt_", "amqp", "mongodb", "token"):
        assert secret not in told


async def test_each_job_runs_in_a_new_process_session_and_directory(api: Api) -> None:
    source = RUN + (
        "    import os\n"
        "    open('left-behind', 'w').close()\n"
        "    return [os.getpid() if os.getpid() > 2 else os.urandom(8).hex(),\n"
        "            os.getsid(0) == os.getpid(), sorted(os.listdir('.'))]\n"
    )
    uploaded = await api.upload(source)
    first = (await api.result(await api.submit(uploaded)))["result"]
    second = (await api.result(await api.submit(uploaded)))["result"]
    assert first[0] != second[0]
    assert first[1:] == second[1:] == [True, ["left-behind"]]
