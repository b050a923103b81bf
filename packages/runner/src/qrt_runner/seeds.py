"""Random numbers of its own for every fork, which would otherwise repeat its siblings'."""

import ctypes
import os
import sys
from functools import cache

_KEY_BYTES = 624 * 4
"""The state of a Mersenne Twister that nothing has been drawn from."""


def differ() -> None:
    """Draw other numbers from numpy's global generator than the siblings do, as if it were seeded anew.

    Python's `random` sees to itself after a fork; an attempt that imports numpy later seeds it thereby. The
    random bits are written where they belong: `numpy.random.seed()` touches so many pages of the zygote's,
    each of which is copied, that it takes ten times as long.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return
    place = _place()
    if place is None:
        numpy.random.seed()
    else:
        ctypes.memmove(place, os.urandom(_KEY_BYTES), _KEY_BYTES)


@cache
def _place() -> int | None:
    """Return where the key of numpy's global generator is, the same in every fork; None if nobody can tell.

    To be called first where nothing is drawn between this and a fork: in the zygote.
    """
    import numpy as np

    np.random.seed(0)  # the whole key is used by the next draw
    try:
        generator = np.random.get_bit_generator()
        place = int(generator.ctypes.state_address)
        key = generator.state["state"]["key"].tobytes()
    except (AttributeError, KeyError):  # numpy before 1.24
        return None
    known = len(key) == _KEY_BYTES and ctypes.string_at(place, _KEY_BYTES) == key
    return place if known else None
