"""A zygote's memory before its forks."""

import json
import subprocess
import sys

import pytest

SCATTERED = """
import gc, json, sys
from qrt_runner import heap

MANY, FEW = 20000, 60
kept = [[bytes(size) for _ in range(MANY)] for size in (31, 95, 400, 700, 3000)]
for each in kept:
    each[::50] = [None] * len(each[::50])
if sys.argv[1] == "settled":
    heap.settle()
new = [[bytes(size) for _ in range(FEW)] for size in (31, 95, 400, 700, 3000)]
print(json.dumps([len({id(each) >> 12 for each in some}) for some in new]))
print(json.dumps([gc.isenabled(), gc.get_freeze_count() > 1000]))
"""
"""Prints over how many pages new objects of each size are spread, in a heap full of holes."""


def _pages(how: str) -> tuple[list[int], list[bool]]:
    done = subprocess.run(
        [sys.executable, "-c", SCATTERED, how], check=True, capture_output=True, text=True, timeout=60
    )
    pages, collector = map(json.loads, done.stdout.splitlines())
    return pages, collector


@pytest.mark.skipif(sys.platform != "linux", reason="of what else there is, nothing is known")
def test_what_is_new_in_a_fork_lies_side_by_side() -> None:
    scattered, _ = _pages("as it is")
    together, collector = _pages("settled")
    sizes = (64, 128, 433, 733, 3033)
    for size, before, after in zip(sizes, scattered, together, strict=True):
        least = size * 60 // 4096 + 1
        assert before > 2 * least or before == 60, "nothing was scattered: this shows nothing"
        assert after <= least + 2
    assert collector == [False, True]
