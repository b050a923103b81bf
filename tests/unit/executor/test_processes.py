"""What a process holds is seen, whichever of its threads has ended."""

import asyncio
import sys
from pathlib import Path

from qrt_executor.adapters import processes
from tests.support.waiting import wait_until

HELD = 48 << 20
PROGRAM = f"""
import ctypes, platform, threading, time
held = bytearray(b"x" * {HELD})
threading.Thread(target=time.sleep, args=(600,)).start()
ctypes.CDLL(None).syscall({{"x86_64": 60, "aarch64": 93}}[platform.machine()], 0)  # ends this thread alone
"""


async def test_memory_is_counted_when_the_first_thread_has_ended() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM)

    def ended() -> bool:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "Z"

    try:
        await wait_until(ended, description="the first thread has ended", seconds=30)
        for limit in (0, 1 << 40):  # by proportional, and by resident pages
            assert processes.held_bytes([process.pid], limit=limit) > HELD
    finally:
        process.kill()
        await process.wait()
