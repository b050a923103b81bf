"""Attacks on the sandbox, each contained; the executor is as before after every one."""

import asyncio
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from qrt_contracts.ids import new_id
from qrt_contracts.values import Limits
from tests.attacks.programs import attack
from tests.integration.executor.rig import Rig, Told, alive, body
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")

MB = 1 << 20
SHORT = Limits(wall_seconds=20, memory_bytes=256 * MB, processes=20, disk_bytes=16 * MB, file_bytes=64 * MB)


async def found(executor: Rig, source: str, *, limits: Limits = SHORT, given: str = "null") -> Any:
    """Run an attack that is expected to end by itself, and return what it reports."""
    told = await executor.run(source, limits=limits, given=given)
    assert told.end.end == "succeeded", told.end
    return json.loads(told.result)


# ruff: noqa: E501
# --- using everything up ------------------------------------------------------------------------


async def test_a_fork_bomb_stops_at_its_limit_of_processes(executor: Rig) -> None:
    source = attack(
        "forked = 0",
        "try:",
        "    while True:",
        "        if os.fork() == 0: time.sleep(1000)",
        "        forked += 1",
        "except OSError as error:",
        "    return [forked, errno.errorcode[error.errno]]",
    )
    forked, why = await found(executor, source)
    assert forked <= SHORT.processes
    assert why == "EAGAIN"


async def test_an_exponential_fork_bomb_is_killed_as_a_whole(executor: Rig) -> None:
    source = attack("while True:", "    try: os.fork()", "    except OSError: pass")
    told = await executor.run(source, limits=SHORT.model_copy(update={"wall_seconds": 1}))
    assert told.code in ("TimeLimitExceeded", "ProtocolViolation")


async def test_a_memory_bomb_in_one_process(executor: Rig) -> None:
    told = await executor.run(
        attack("held = []", "while True: held.append(os.urandom(MB := 1 << 20) * 8)"), limits=SHORT
    )
    assert told.code == "MemoryLimitExceeded"


async def test_a_memory_bomb_of_numpy(executor: Rig) -> None:
    source = attack("import numpy", "held = []", "while True: held.append(numpy.ones(1 << 22))")
    assert (await executor.run(source, limits=SHORT)).code == "MemoryLimitExceeded"


async def test_a_memory_bomb_over_many_processes(executor: Rig) -> None:
    source = attack(
        "for _ in range(8):",
        "    if os.fork() == 0:",
        "        held = bytearray(os.urandom(1 << 20) * 100); time.sleep(1000)",
        "time.sleep(1000)",
    )
    assert (await executor.run(source, limits=SHORT)).code == "MemoryLimitExceeded"


async def test_a_memory_bomb_over_many_processes_where_there_are_no_control_groups(
    mongo_url: str, executor: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.integration.executor.rig import rig

    monkeypatch.setattr("qrt_executor.compose.find_cgroups", lambda: None)
    source = attack(
        "for _ in range(8):",
        "    if os.fork() == 0:",
        "        held = bytearray(os.urandom(1 << 20) * 100); time.sleep(1000)",
        "time.sleep(1000)",
    )
    uid = executor.settings.service_uid
    async with rig(mongo_url, executor.settings.scratch, name="watched", slots=1, service_uid=uid) as watched:
        assert (await watched.run(source, limits=SHORT)).code == "MemoryLimitExceeded"


async def test_memory_behind_a_file_descriptor_is_not_to_be_had(executor: Rig) -> None:
    assert await found(executor, attack("return refused(os.memfd_create, 'x')")) == "ENOSYS"


async def test_shared_memory_whose_pages_are_given_back_is_counted(executor: Rig) -> None:
    source = attack(
        "import mmap",
        "held = []",
        "for _ in range(40):",
        "    block = mmap.mmap(-1, 32 << 20)",
        "    block.write(b'x' * (32 << 20)); block.madvise(mmap.MADV_DONTNEED); held.append(block)",
        "return 'held'",
    )
    told = await executor.run(source, limits=SHORT)
    assert told.code == "MemoryLimitExceeded"


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm", "/job", "/var/runtime/output"])
async def test_a_private_file_system_has_a_size_and_a_number_of_files(executor: Rig, place: str) -> None:
    limits = SHORT.model_copy(update={"memory_bytes": 512 * MB})
    (size, why), (files, then) = await found(
        executor,
        attack(
            f"first = fill('{place}')", f"os.unlink('{place}/fill')", f"return [first, make_files('{place}')]"
        ),
        limits=limits,
    )
    assert (why, then) == ("ENOSPC", "ENOSPC")
    assert size <= SHORT.disk_bytes
    assert files <= 16384


@pytest.mark.parametrize(
    "path", ["/x", "/etc/x", "/usr/x", "/dev/x", "/var/x", "/var/runtime/x", "/proc/x", "/root/x"]
)
async def test_nothing_else_can_be_written(executor: Rig, path: str) -> None:
    assert await found(executor, attack(f"return refused(open, '{path}', 'w')")) in (
        "EROFS",
        "EACCES",
        "ENOENT",
    )


async def test_the_shared_directories_cannot_be_moved_or_removed(executor: Rig) -> None:
    source = attack(
        "return [refused(os.rename, '/var/runtime', '/var/other'), refused(os.rmdir, '/var/runtime/output'),",
        "        refused(os.rename, '/var/runtime/output', '/tmp/other'), refused(os.rmdir, '/job')]",
    )
    assert None not in await found(executor, source)


async def test_a_sparse_file_of_a_terabyte(executor: Rig) -> None:
    source = attack("with open('sparse', 'wb') as file:", "    return refused(file.truncate, 1 << 40)")
    assert await found(executor, source) == "EFBIG"


async def test_limits_cannot_be_raised(executor: Rig) -> None:
    source = attack(
        "names = ['RLIMIT_AS', 'RLIMIT_NPROC', 'RLIMIT_FSIZE', 'RLIMIT_NOFILE', 'RLIMIT_CPU', 'RLIMIT_CORE']",
        "raised = []",
        "for name in names:",
        "    which = getattr(resource, name)",
        "    try: resource.setrlimit(which, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)); raised.append(name)",
        "    except (OSError, ValueError): pass",
        "return raised",
    )
    assert await found(executor, source) == []


async def test_a_flood_of_output_is_dropped_and_does_not_stall(executor: Rig) -> None:
    source = attack("block = b'x' * 65536", "for _ in range(4096): os.write(1, block)", "return 1")
    told = await executor.run(source, limits=SHORT.model_copy(update={"log_bytes": 65536}))
    assert told.end.end == "succeeded"
    assert len(told.stream("stdout")) == 65536


async def test_a_flood_of_interim_results_ends_the_attempt(executor: Rig) -> None:
    source = attack("while True: userpub.publish('x' * 100_000)")
    told = await executor.run(source, limits=SHORT.model_copy(update={"interim_bytes": 2 * MB}))
    assert told.code == "OutputLimitExceeded"


async def test_descriptors_run_out(executor: Rig) -> None:
    source = attack(
        "held = []",
        "try:",
        "    while True: held.append(os.dup(0))",
        "except OSError as error:",
        "    return [len(held), errno.errorcode[error.errno]]",
    )
    held, why = await found(executor, source, limits=SHORT.model_copy(update={"open_files": 64}))
    assert (held < 64, why) == (True, "EMFILE")


# --- not ending ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        ("time.sleep(1000)",),
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "time.sleep(1000)"),
        ("signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())", "while True: pass"),
        ("os.kill(os.getpid(), signal.SIGSTOP)",),
        ("while True: libc.sleep(1000)",),
    ],
    ids=["sleeping", "ignoring SIGTERM", "blocking all signals", "stopped", "in C"],
)
async def test_a_program_that_does_not_end_is_ended(executor: Rig, lines: tuple[str, ...]) -> None:
    told = await executor.run(attack(*lines), limits=SHORT.model_copy(update={"wall_seconds": 0.5}))
    assert told.code == "TimeLimitExceeded"


async def test_daemons_in_sessions_of_their_own_die_with_the_attempt(executor: Rig) -> None:
    marker = f"qrt-attack-{new_id()}"
    source = attack(
        "for _ in range(5):",
        "    if os.fork() == 0:",
        "        os.setsid()",
        "        if os.fork() == 0:",
        "            os.closerange(0, 64)",
        f"            os.execv('/bin/sleep', ['{marker}', '1000'])",
        "        os._exit(0)",
        "    os.wait()",
        "time.sleep(0.3)",
        "return 1",
    )
    _, told = await executor.begin(source, limits=SHORT)
    await wait_until(lambda: len(alive(marker)) == 5, description="the daemons live")
    await executor.end_of(told)
    assert alive(marker) == []


# --- reaching others ----------------------------------------------------------------------------


async def test_only_its_own_processes_are_to_be_seen(executor: Rig) -> None:
    pids = await found(
        executor, attack("return [os.getpid(), sorted(int(p) for p in os.listdir('/proc') if p.isdigit())]")
    )
    assert pids == [2, [1, 2]]


async def test_signals_reach_nobody_else(executor: Rig) -> None:
    given = json.dumps([os.getpid(), *range(3, 400)])
    source = attack("return [pid for pid in params if refused(os.kill, pid, signal.SIGKILL) is None]")
    assert await found(executor, source, given=given) == []


KEEPER_SIGNALS = (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGSEGV, signal.SIGUSR1)
KEEPER = """
def sleeping():
    facts = dict(line.split(":", 1) for line in open("/proc/1/status").read().splitlines())
    return [facts["State"].split()[0], facts["SigBlk"].strip()]
"""


async def test_killing_everything_ends_its_own_attempt_at_most(executor: Rig) -> None:
    sibling, told = await executor.begin(body("import time", "time.sleep(1.5)", "return 'unharmed'"))
    assert sibling
    attacked = await executor.run(
        attack("os.kill(-1, signal.SIGKILL)", "time.sleep(0.2)", "return 1"), limits=SHORT
    )
    assert attacked.finished is not None
    await executor.end_of(told)
    assert told.result == '"unharmed"'


@pytest.mark.parametrize("number", [*map(int, KEEPER_SIGNALS), 32, 33, 34, 64])
async def test_its_keeper_cannot_be_killed_stopped_or_woken(executor: Rig, number: int) -> None:
    source = attack(f"os.kill(1, {number})", "time.sleep(0.2)", "return sleeping()")
    assert await found(executor, KEEPER + source) == ["S", "fffffffffffbfeff"]


async def test_signals_for_its_keeper_do_not_queue_up(executor: Rig) -> None:
    source = attack(
        "told = struct.pack('iii116x', 34, 0, -1)",
        "return [refused(syscall, 129, 1, 34, told) for _ in range(3)]",
    )
    assert await found(executor, source) == ["EAGAIN"] * 3


async def test_orphans_are_collected_however_many_a_program_leaves(executor: Rig) -> None:
    source = attack(
        "for _ in range(3 * 64):",
        "    child = os.fork()",
        "    if child == 0:",
        "        os._exit(0 if os.fork() else 0)",
        "    os.waitpid(child, 0)",
        "while len(pids := [p for p in os.listdir('/proc') if p.isdigit()]) > 2:",
        "    time.sleep(0.01)",
        "return sorted(pids)",
    )
    assert await found(executor, source) == ["1", "2"]


@pytest.mark.parametrize("name", ["mem", "environ", "maps", "root", "cwd", "exe", "fd", "ns/pid"])
async def test_its_init_cannot_be_looked_into(executor: Rig, name: str) -> None:
    source = attack(
        f"look = os.listdir if '{name}' in ('root', 'cwd', 'fd') else readable",
        f"return refused(look, '/proc/1/{name}')",
    )
    assert await found(executor, source) in ("EACCES", "EPERM", "ENOENT")


TRACING = {"ptrace": 101, "process_vm_readv": 310, "kcmp": 312, "process_madvise": 440, "pidfd_getfd": 438}


@pytest.mark.parametrize(("name", "number"), TRACING.items())
async def test_tracing_is_refused(executor: Rig, name: str, number: int) -> None:
    assert await found(executor, attack(f"return refused(syscall, {number}, 16, 1, 0, 0, 0, 0)")) == "EPERM"


async def test_the_executors_files_environment_and_processes_are_not_to_be_seen(executor: Rig) -> None:
    secret = executor.settings.scratch / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    paths = [str(secret), f"/proc/{os.getpid()}/environ", "/etc/shadow", "/root/.bashrc", "/run", "/sys", "/home",
             "/var/run/docker.sock", "/var/lib", str(Path(__file__)), "/boot", "/etc/hostname"]  # fmt: skip
    source = attack("return [p for p in params if os.path.exists(p)]")
    assert await found(executor, source, given=json.dumps(paths)) == []


async def test_accounts_of_the_host_are_not_to_be_seen(executor: Rig) -> None:
    assert await found(executor, attack("return open('/etc/passwd').read().count('\\n')")) == 1


async def test_the_environment_holds_nothing_of_the_services(executor: Rig) -> None:
    names = await found(executor, attack("return sorted(os.environ)"))
    assert not [n for n in names if n.startswith(("QRT", "AMQP", "MONGO", "RABBIT", "PYTHON"))]


async def test_the_hosts_network_is_not_to_be_reached(executor: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = attack(
            "tries = [('127.0.0.1', params), ('127.0.0.1', 5672), ('127.0.0.1', 27017), ('192.0.2.1', 80), ('10.0.0.1', 53)]",
            "connect = lambda to: socket.create_connection(to, timeout=1).close()",
            "return [refused(connect, to) for to in tries] + [refused(lambda: socket.getaddrinfo('example.org', 80))]",
        )
        assert None not in await found(executor, source, given=str(port))


async def test_siblings_share_no_port_no_abstract_socket_and_no_file(executor: Rig) -> None:
    first = attack(
        "tcp = socket.create_server(('127.0.0.1', 34567))",
        "named = socket.socket(socket.AF_UNIX); named.bind('\\0qrt-abstract'); named.listen()",
        "for place in ('/tmp', '/dev/shm', '/job', '/var/runtime/output'): open(place + '/mine', 'w').close()",
        "print('up', flush=True)",
        "time.sleep(1000)",
    )
    second = attack(
        "abstract = socket.socket(socket.AF_UNIX)",
        "seen = [p for p in ('/tmp', '/dev/shm', '/job', '/var/runtime/output') if os.listdir(p)]",
        "return [refused(socket.create_connection, ('127.0.0.1', 34567)), refused(abstract.connect, '\\0qrt-abstract'), seen,",
        "        os.listdir('/dev/pts')]",
    )
    order, told = await executor.begin(first, limits=SHORT)
    await wait_until(lambda: told.log == "up\n", description="the first is up")
    assert await found(executor, second) == ["ECONNREFUSED", "ECONNREFUSED", [], ["ptmx"]]
    await executor.cancel(order)
    await executor.end_of(told)


async def test_nothing_is_left_for_the_next_attempt(executor: Rig) -> None:
    leave = (
        "for place in ('/tmp', '/dev/shm', '/job', '/var/runtime/output'): open(place + '/left', 'w').close()"
    )
    look = "return [p for p in ('/tmp', '/dev/shm', '/job', '/var/runtime/output') if os.listdir(p)]"
    for _ in range(5):
        assert (
            await found(executor, attack("before = " + look.removeprefix("return "), leave, "return before"))
            == []
        )


# --- the kernel's doors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "kind"),
    [(40, 1), (16, 3), (17, 3), (38, 5), (44, 3), (31, 3), (29, 3), (2, 3)],
    ids=["VSOCK", "NETLINK", "PACKET", "ALG", "XDP", "BLUETOOTH", "CAN", "raw IP"],
)
async def test_other_sockets_cannot_be_opened(executor: Rig, family: int, kind: int) -> None:
    why = await found(executor, attack(f"return refused(socket.socket, {family}, {kind})"))
    assert why in ("ENOSYS", "EPERM", "EACCES", "EPROTONOSUPPORT")


CALLS = {
    "unshare(user)": "syscall, 272, 0x10000000",
    "clone(new user)": "syscall, 56, 0x10000000 | 17, 0, 0, 0, 0",
    "clone3": "syscall, 435, 0, 0",
    "setns": "syscall, 308, 0, 0",
    "mount": "syscall, 165, b'x', b'/tmp', b'tmpfs', 0, 0",
    "umount": "syscall, 166, b'/proc', 2",
    "pivot_root": "syscall, 155, b'/tmp', b'/tmp'",
    "chroot": "syscall, 161, b'/tmp'",
    "open_tree": "syscall, 428, -100, b'/', 1",
    "fsopen": "syscall, 430, b'tmpfs', 0",
    "bpf": "syscall, 321, 0, 0, 0",
    "perf_event_open": "syscall, 298, 0, 0, 0, 0, 0",
    "userfaultfd": "syscall, 323, 1",
    "io_uring_setup": "syscall, 425, 1, 0",
    "keyctl": "syscall, 250, 0, 0, 0, 0, 0",
    "add_key": "syscall, 248, b'user', b'x', b'y', 1, -3",
    "mknod a device": "os.mknod, '/tmp/null', stat.S_IFCHR | 0o666, os.makedev(1, 3)",
    "kexec_load": "syscall, 246, 0, 0, 0, 0",
    "init_module": "syscall, 175, 0, 0, b''",
    "ioperm": "syscall, 173, 0, 1, 1",
    "iopl": "syscall, 172, 3",
    "reboot": "syscall, 169, 0xfee1dead, 672274793, 0, 0",
    "name_to_handle_at": "syscall, 303, -100, b'/', 0, 0, 0",
    "open_by_handle_at": "syscall, 304, -100, 0, 0",
    "fanotify_init": "syscall, 300, 0, 0",
    "shmget": "syscall, 29, 0, 4096, 0o1600",
    "msgget": "syscall, 68, 0, 0o1600",
    "semget": "syscall, 64, 0, 1, 0o1600",
    "mq_open": "syscall, 240, b'/x', 66, 0o600, 0",
    "personality": "syscall, 135, 0x0400000",
    "modify_ldt": "syscall, 154, 0, 0, 0",
    "clock_settime": "syscall, 227, 0, 0",
    "settimeofday": "syscall, 164, 0, 0",
    "memfd_secret": "syscall, 447, 0",
    "sethostname": "socket.sethostname, 'x'",
    "setuid root": "os.setuid, 0",
    "setgid root": "os.setgid, 0",
    "setgroups": "os.setgroups, [0]",
    "swapon": "syscall, 167, b'/tmp/x', 0",
    "syslog": "syscall, 103, 3, 0, 0",
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_that_leads_out_is_refused(executor: Rig, name: str) -> None:
    why = await found(executor, attack(f"return refused({CALLS[name]})"))
    assert why in ("EPERM", "ENOSYS", "EINVAL"), why
    if name not in ("setuid root", "setgid root"):
        assert why != "EINVAL"


async def test_no_privilege_is_held_or_can_be_gained(executor: Rig) -> None:
    source = attack(
        "return {k: v.strip() for k, v in (line.split(':', 1) for line in open('/proc/self/status'))}"
    )
    facts = await found(executor, source)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(facts[name], 16) == 0
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")


async def test_setuid_programs_give_nothing(executor: Rig) -> None:
    source = attack(
        "tried = [p for p in ('/usr/bin/su', '/usr/bin/mount', '/usr/bin/passwd', '/usr/bin/newgrp') if os.path.exists(p)]",
        "return [subprocess.run([p, '--version'], capture_output=True).returncode is not None for p in tried] and os.geteuid()",
    )
    assert await found(executor, source) != 0


@pytest.mark.parametrize(
    "path", ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/oom_score_adj"]
)
async def test_switches_of_the_kernel_cannot_be_turned(executor: Rig, path: str) -> None:
    source = attack(
        "def write():", f"    with open('{path}', 'w') as file: file.write('-1000')", "return refused(write)"
    )
    assert await found(executor, source) in ("EACCES", "EPERM", "EROFS", "ENOENT")


@pytest.mark.parametrize(
    "path",
    ["/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse"],
)
async def test_devices_and_the_kernels_memory_are_not_to_be_read(executor: Rig, path: str) -> None:
    assert await found(executor, attack(f"return refused(readable, '{path}')")) in (
        "EACCES",
        "EPERM",
        "ENOENT",
    )


# --- the protocol -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "forged",
    [
        "b'garbage' * 1000",
        "struct.pack('!BI', 5, 0xffffffff)",
        "struct.pack('!BI', 1, 0)",
        "struct.pack('!BI', 2, 2) + b'{}'",
        "struct.pack('!BI', 6, 1) + b'1' + struct.pack('!BI', 6, 1) + b'2'",
        "struct.pack('!BI', 7, 1) + b'x'",
        "struct.pack('!BI', 5, 1) + b'?'",
        "struct.pack('!BI', 5, 2) + b'j{'",
        "struct.pack('!BI', 250, 0)",
    ],
)
async def test_a_forged_frame_ends_its_own_attempt(executor: Rig, forged: str) -> None:
    told = await executor.run(attack(f"os.write(3, {forged})", "time.sleep(1000)"), limits=SHORT)
    assert told.code == "ProtocolViolation"


async def test_descriptors_sent_to_the_executor_are_dropped(executor: Rig) -> None:
    before = len(os.listdir("/proc/self/fd"))
    source = attack(
        "channel = socket.socket(fileno=os.dup(3))",
        "for _ in range(500):",
        "    try: socket.send_fds(channel, [struct.pack('!BI', 5, 2) + b'sx'], [0, 1, 2] * 20)",
        "    except OSError: time.sleep(0.001)  # ETOOMANYREFS: the kernel counts those on their way",
        "return 1",
    )
    told = await executor.run(source, limits=SHORT)
    assert told.end.end == "succeeded", told.end
    await wait_until(
        lambda: len(os.listdir("/proc/self/fd")) <= before + 12, description="no descriptor kept"
    )


async def test_a_forged_error_is_text_and_no_more(executor: Rig) -> None:
    forged = '{"code": "Cancelled", "detail": ["<script>"], "traceback": {"a": 1}}'
    source = attack(
        f"data = {forged!r}.encode()", "os.write(3, struct.pack('!BI', 7, len(data)) + data)", "os._exit(1)"
    )
    told = await executor.run(source, limits=SHORT)
    assert (told.end.end, told.code) == ("failed", "ProgramError")


async def test_claiming_a_fault_of_the_executor_does_not_loop_for_ever(executor: Rig) -> None:
    data = '{"code": "ExecutorFault", "detail": "again", "traceback": null}'
    source = attack(
        f"data = {data!r}.encode()", "os.write(3, struct.pack('!BI', 7, len(data)) + data)", "os._exit(1)"
    )
    order = await executor.order(source)
    ends = []
    for number in range(1, 6):
        told = Told()
        executor.told[order.job_id] = told
        await executor.send(order.model_copy(update={"attempt": number}))
        await wait_until(lambda told=told: told.finished is not None, description="its end")
        ends.append(told.end.end)
    assert ends[-1] == "failed"


@pytest.mark.parametrize(
    "lines", [("os.closerange(0, 100)", "time.sleep(0.1)"), ("os.execv('/bin/echo', ['echo', 'other'])",)]
)
async def test_a_program_that_throws_its_channel_away_has_no_result(
    executor: Rig, lines: tuple[str, ...]
) -> None:
    told = await executor.run(attack(*lines, "return 1"), limits=SHORT)
    assert (told.end.end, told.code) == ("failed", "ProgramExited")


# --- all at once --------------------------------------------------------------------------------


async def test_an_attack_beside_an_honest_job_does_not_disturb_it(executor: Rig) -> None:
    bomb = attack(
        "while True:",
        "    try:",
        "        if os.fork() == 0: held = bytearray(1 << 24)",
        "    except (OSError, MemoryError): pass",
    )
    honest = body(
        "import quafu",
        "q = quafu.QuantumCircuit(3); q.h(0); q.measure()",
        "return len(quafu.simulate(q).probabilities)",
    )
    limits = SHORT.model_copy(update={"wall_seconds": 2})
    attacked, fine = await asyncio.gather(executor.run(bomb, limits=limits), executor.run(honest))
    assert attacked.end.end == "failed"
    assert fine.result == "8"
