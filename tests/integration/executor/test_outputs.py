"""What a program prints and publishes arrives whole, in order, within its limits."""

import base64

import pytest

from qrt_contracts.values import Encoding, Limits, OutputKind
from tests.integration.executor.rig import Rig, body
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_interim_results_keep_their_kind(executor: Rig) -> None:
    told = await executor.run(
        body(
            'userpub.publish(b"plain")',
            "userpub.publish(bytes([255, 0]))",
            'userpub.publish("text é")',
            'userpub.publish({"e": [1, None]})',
            "userpub.publish(None)",
        )
    )
    found = [(o.encoding, o.data) for o in told.outputs]
    assert found == [
        (Encoding.UTF8, "plain"),
        (Encoding.BASE64, base64.b64encode(bytes([255, 0])).decode()),
        (Encoding.TEXT, "text é"),
        (Encoding.JSON, '{"e": [1, null]}'),
        (Encoding.JSON, "null"),
    ]


async def test_what_was_printed_before_a_publish_comes_before_it(executor: Rig) -> None:
    lines = ("for i in range(200):", "    print('line', i)", "    userpub.publish(str(i))")
    told = await executor.run(body(*lines))
    seen = ""
    for output in told.outputs:
        if output.kind is OutputKind.LOG:
            seen += output.data
        else:
            assert f"line {output.data}\n" in seen
    assert told.interim == [str(i) for i in range(200)]


async def test_output_arrives_while_the_program_runs(executor: Rig) -> None:
    order, told = await executor.begin(
        body("print('now')", "userpub.publish('too')", "import time", "time.sleep(1000)")
    )
    await wait_until(lambda: told.log == "now\n" and told.interim == ["too"], description="live output")
    assert told.finished is None
    await executor.cancel(order)
    await executor.end_of(told)


async def test_an_unfinished_line_does_not_wait_for_its_end(executor: Rig) -> None:
    source = body("print('how far', end='', flush=True)", "import time", "time.sleep(1000)")
    order, told = await executor.begin(source)
    await wait_until(lambda: told.log == "how far", description="the unfinished line")
    await executor.cancel(order)
    await executor.end_of(told)


async def test_both_streams_are_caught_at_the_level_of_descriptors(executor: Rig) -> None:
    source = body(
        "import ctypes, os, subprocess, sys",
        "print('python')",
        "print('error', file=sys.stderr)",
        "os.write(1, b'raw\\xff\\n')",
        "subprocess.run(['/bin/sh', '-c', 'echo child; echo bad >&2'], check=True)",
        "libc = ctypes.CDLL(None)",
        "libc.printf(b'from C\\n')",
    )
    told = await executor.run(source)
    assert told.end.end == "succeeded", told.end
    assert told.stream("stdout") == "python\nraw\ufffd\nchild\nfrom C\n"
    assert told.stream("stderr") == "error\nbad\n"


async def test_text_cut_between_two_reads_is_put_together(executor: Rig) -> None:
    source = body(
        "import os, time",
        "data = 'é'.encode()",
        "os.write(1, data[:1])",
        "time.sleep(0.2)",
        "os.write(1, data[1:] + b'\\n')",
    )
    told = await executor.run(source)
    assert told.log == "é\n"


async def test_a_program_that_prints_100_mb_keeps_its_first_log_bytes(executor: Rig) -> None:
    source = body(
        "import os",
        "line = b'x' * 99 + b'\\n'",
        "block = line * 10000",
        "for _ in range(100): os.write(1, block)",
        "return 'done'",
    )
    told = await executor.run(source, limits=Limits(log_bytes=1 << 20), seconds=60)
    assert told.result == '"done"'
    assert len(told.stream("stdout")) == 1 << 20
    remark = told.outputs[-1]
    assert remark.stream == "system"
    assert str(100_000_000 - (1 << 20)) in remark.data


async def test_a_flood_of_lines_is_whole_within_the_limit(executor: Rig) -> None:
    told = await executor.run(body("for i in range(50_000): print(i)"), seconds=60)
    assert told.log == "".join(f"{i}\n" for i in range(50_000))


async def test_interim_results_over_the_limit_end_the_attempt_and_keep_what_came_before(
    executor: Rig,
) -> None:
    source = body("for i in range(1000): userpub.publish('x' * 1000)", "return 1")
    told = await executor.run(source, limits=Limits(interim_bytes=10_000))
    assert told.code == "OutputLimitExceeded"
    assert len(told.interim) == 10


async def test_too_many_interim_results_end_the_attempt(executor: Rig) -> None:
    told = await executor.run(body("while True: userpub.publish(1)"), limits=Limits(interim_count=5))
    assert told.code == "OutputLimitExceeded"
    assert told.interim == ["1"] * 5


async def test_one_interim_result_over_its_limit_is_an_error_in_the_program(executor: Rig) -> None:
    source = body("userpub.publish('fits')", "userpub.publish('x' * 5000)")
    told = await executor.run(source, limits=Limits(message_bytes=1024))
    assert told.code == "OutputLimitExceeded"
    assert "5000 bytes" in told.detail
    assert told.interim == ["fits"]


async def test_threads_publish_without_mixing_their_messages(executor: Rig) -> None:
    source = body(
        "import threading",
        "def work(n):",
        "    for i in range(100): userpub.publish(f'{n}:{i}')",
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]",
        "for t in threads: t.start()",
        "for t in threads: t.join()",
    )
    told = await executor.run(source)
    assert sorted(told.interim) == sorted(f"{n}:{i}" for n in range(5) for i in range(100))


async def test_a_forked_process_of_the_program_cannot_publish(executor: Rig) -> None:
    source = body(
        "import os",
        "pid = os.fork()",
        "if pid == 0:",
        "    try: userpub.publish('from the child')",
        "    except RuntimeError as error: print(error, flush=True)",
        "    return 'from the child'",
        "os.waitpid(pid, 0)",
        "return 'from the parent'",
    )
    told = await executor.run(source)
    assert told.result == '"from the parent"'
    assert told.interim == []
    assert "own process only" in told.log


async def test_a_slow_bus_makes_the_program_wait_and_loses_nothing(executor: Rig) -> None:
    source = body("for i in range(3000): userpub.publish('y' * 1000)")
    told = await executor.run(source, seconds=60)
    assert len(told.interim) == 3000


async def test_a_program_that_writes_garbage_to_its_socket_breaks_the_protocol(executor: Rig) -> None:
    told = await executor.run(body("import os, time", "os.write(3, b'garbage' * 100)", "time.sleep(1000)"))
    assert told.code == "ProtocolViolation"


async def test_a_forged_second_result_breaks_the_protocol(executor: Rig) -> None:
    source = body("import os, struct", "os.write(3, struct.pack('!BI', 6, 1) + b'1')", "return 2")
    told = await executor.run(source)
    assert told.code == "ProtocolViolation"


async def test_a_forged_result_that_is_no_json_is_no_result(executor: Rig) -> None:
    source = body("import os, struct", "os.write(3, struct.pack('!BI', 6, 3) + b'NaN')", "os._exit(0)")
    told = await executor.run(source)
    assert told.code == "InvalidResult"
