"""The end of a program's process, reported on the attempt's status pipe, which no program has."""

import json
import os
import resource


def report(pipe: int, wait_status: int, used: resource.struct_rusage, *, with_keeper: bool = False) -> None:
    """Write how the process ended. Raises OSError.

    `wait_status` is as wait(2) gives it, `used` is what it and its children have used. `with_keeper`: it was
    killed because the jail's keeper was.
    """
    told = {
        "status": wait_status,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_memory_bytes": used.ru_maxrss * 1024,
        "with_keeper": with_keeper,
    }
    os.write(pipe, json.dumps(told).encode())
