"""Commands that start without the executor's rights and die with it: by way of the script `launch.py`."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

_SCRIPT = Path(__file__).parents[1] / "launch.py"


def launched(
    command: Sequence[str], *, control: int, user: tuple[int, int], reach: Iterable[str]
) -> list[str]:
    """Return the command line that starts `command` as a child of this process; see `launch.py`.

    The death signal of a child is bound to the thread that starts it: start it in the main one.
    """
    numbers = map(str, (control, *user, os.getpid()))
    return [sys.executable, "-I", "-S", str(_SCRIPT), *numbers, *reach, "--", *command]
