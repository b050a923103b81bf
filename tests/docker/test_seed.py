"""The published description of the Docker runtime, sentence by sentence."""

import asyncio

import pytest

from qrt_chassis.sealing import Seal, for_jobs_of
from qrt_contracts.values import Confidential
from tests.docker.conftest import KEY
from tests.docker.programs import order, python, run, shell
from tests.integration.executor.rig import Rig, Told
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _both(executor: Rig, text: str) -> tuple[Told, Told]:
    """Run a program in Python and a static binary that print the same; return what was told of each."""
    log = f"import sys\nsys.stdout.write({text!r})\n"
    return await asyncio.gather(run(executor, python(log)), run(executor, shell(f"cat <<'END'\n{text}END\n")))


async def test_each_property_of_the_input_is_a_file_and_output_json_is_the_result(executor: Rig) -> None:
    source = (
        "import json, os\n"
        "data = json.load(open('/var/runtime/input/data.json'))\n"
        "params = json.load(open('/var/input/params.json'))\n"
        "total = sum(data['values'])\n"
        "print('sum', total, params, sorted(os.listdir('/var/runtime/input')))\n"
        "json.dump({'sum': total}, open('/var/runtime/output/output.json', 'w'))\n"
        "open('/var/runtime/output/result.txt', 'w').write('a large output')\n"
    )
    given = '{"data": {"values": [1, 2, 3]}, "params": {"round_up": true}, "$secrets": {"a": "b"}}'
    told = await run(executor, python(source), given=given)
    assert (told.end.end, told.result) == ("succeeded", '{"sum": 6}'), (told.end, told.log)
    assert "sum 6 {'round_up': True} ['data.json', 'params.json']\n" in told.stream("stdout")
    assert [file.name for file in told.end.files] == ["output.json", "result.txt"]


async def test_a_static_binary_without_python_does_the_same(executor: Rig) -> None:
    script = (
        "cat /var/runtime/input/data.json > /var/runtime/output/output.json; cat /var/input/params.json\n"
        "echo more > $OUTPUT_DIRECTORY/result.txt; ls $INPUT_DIRECTORY; echo oh >&2"
    )
    given = '{"data": {"values": [1.0e3, 12345678901234567890123]}, "params": {"round_up": true}}'
    told = await run(executor, shell(script), given=given)
    assert told.result == '{"values": [1.0e3, 12345678901234567890123]}', (told.end, told.log)
    assert told.stream("stdout") == '{"round_up": true}data.json\nparams.json\n'
    assert told.stream("stderr") == "oh\n"
    assert [file.name for file in told.end.files] == ["output.json", "result.txt"]


async def test_the_first_block_on_stdout_is_the_result_and_stays_in_the_log(executor: Rig) -> None:
    block = 'before\n$M\n{\n  "sum": 42\n}\n$M\nbetween\n$M\n{"sum": 0}\n$M\n'
    for told in await _both(executor, block.replace("$M", "PlanQK:Job:MultilineResult")):
        assert told.result == '{\n  "sum": 42\n}'
        assert told.log.count("PlanQK:Job:MultilineResult") == 4
        assert told.end.files == ()


async def test_a_block_that_is_no_object_is_no_result(executor: Rig) -> None:
    block = "$M\n[42]\n$M\n$M\n{}\n$M\n"
    for told in await _both(executor, block.replace("$M", "PlanQK:Job:MultilineResult")):
        assert told.code == "InvalidResult"


async def test_output_json_goes_before_what_is_on_stdout(executor: Rig) -> None:
    marker = """echo 'PlanQK:Job:Result: {"from": "stdout"}'"""
    script = marker + """; printf '{"from": "file"}' > $OUTPUT_DIRECTORY/output.json"""
    assert (await run(executor, shell(script))).result == '{"from": "file"}'


async def test_older_lines_are_honoured_and_interim_results_come_while_it_runs(executor: Rig) -> None:
    script = (
        "echo 'PlanQK:Job:InterimResult: {\"step\": 1}'\n"
        "while [ ! -e /tmp/never ] && [ $((n=n+1)) -lt 30 ]; do sleep 0.1; done\n"
        "echo 'PlanQK:Job:InterimResult: not json'; echo 'PlanQK:Job:InterimResult: {\"step\": 2}'\n"
        "echo 'PlanQK:Job:Result: {\"done\": true}'; echo 'PlanQK:Job:Result: {\"done\": false}'\n"
    )
    told = await executor.send(await order(executor, shell(script)))
    await wait_until(lambda: told.interim == ['{"step": 1}'], description="the first one", seconds=20)
    assert told.finished is None, "it came while the container ran"
    await executor.end_of(told)
    assert (told.result, told.interim) == ('{"done": true}', ['{"step": 1}', '{"step": 2}'])


async def test_exit_code_0_without_a_result_is_a_success_and_any_other_a_failure(executor: Rig) -> None:
    nothing, same = await asyncio.gather(run(executor, shell("true")), run(executor, python("pass")))
    one, also, killed = await asyncio.gather(
        run(executor, shell("echo partial > $OUTPUT_DIRECTORY/notes.txt; exit 7")),
        run(executor, python("print('partial'); raise SystemExit(1)")),
        run(executor, shell("kill -9 $$; sh -c 'kill -9 $PPID'; exit 137")),
    )
    for ended in (nothing, same):
        assert (ended.end.end, ended.result) == ("succeeded", "null")
    assert (also.code, also.end.usage and also.end.usage.exit_code) == ("ProgramExited", 1)
    assert (one.code, one.end.usage and one.end.usage.exit_code) == ("ProgramExited", 7)
    assert "exit code 7" in one.detail
    assert [file.name for file in one.end.files] == ["notes.txt"]
    assert (killed.code, killed.end.usage and killed.end.usage.signal) == ("KilledBySignal", 9)


async def test_a_failure_may_tell_its_reason_in_a_problem_document(executor: Rig) -> None:
    source = (
        "import json, sys\n"
        "problem = {'type': 'about:blank', 'status': 500, 'title': 'ValueError', 'detail': 'no such angle'}\n"
        "json.dump(problem, open('/var/runtime/output/output.json', 'w'))\n"
        "sys.exit(1)\n"
    )
    told = await run(executor, python(source))
    assert (told.code, told.detail) == ("ProgramError", "ValueError: no such angle")


async def test_a_result_that_is_not_json_is_said_to_be_none(executor: Rig) -> None:
    broken, link = await asyncio.gather(
        run(executor, shell("echo '{\"sum\": NaN}' > $OUTPUT_DIRECTORY/output.json")),
        run(executor, shell("ln -s /etc/passwd $OUTPUT_DIRECTORY/output.json")),
    )
    assert broken.code == "InvalidResult"
    assert link.result == "null", "a link is no file"


async def test_an_input_that_is_no_object_is_refused_before_anything_runs(executor: Rig) -> None:
    for given in ("[1, 2]", '"text"', '{"../x": 1}'):
        told = await run(executor, shell("true"), given=given)
        assert told.code == "InvalidInput", given
    assert (await run(executor, shell("true"), given="null")).end.end == "succeeded"


async def test_its_environment_its_user_and_its_logs(executor: Rig) -> None:
    secrets = Confidential(secrets={"SECRET_IBM_TOKEN": "s3cret"})
    sealed = Seal(KEY).seal(secrets, purpose=for_jobs_of("alice"))
    script = (
        "id -u; echo $HOME $INPUT_DIRECTORY $OUTPUT_DIRECTORY\n"
        "printf 'caf\\303\\251\\377' >&2; echo it is $SECRET_IBM_TOKEN; echo ${#SECRET_IBM_TOKEN}\n"
    )
    told = await run(executor, shell(script, more="USER 0\nVOLUME /data\n"), confidential=sealed)
    lines = told.stream("stdout").splitlines()
    assert lines == ["61000", "/tmp /var/runtime/input /var/runtime/output", "it is ***", "6"]
    assert told.stream("stderr") == "café\ufffd"
    assert told.end.isolation == "container"
    assert all(output.at.tzinfo is not None for output in told.outputs)
