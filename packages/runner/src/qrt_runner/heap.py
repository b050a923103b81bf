"""A zygote's memory, made ready for being copied by forks: page by page, as each fork writes to them."""

import ctypes
import gc

from qrt_runner.system import libc

_HUGE, _MADV_COLLAPSE = 2 << 20, 25
_PAGE = 4096
_ALIGNMENT, _LARGEST_BLOCK = 16, 512
"""Sizes of the blocks that Python hands out itself; what is larger comes from the C library."""
_BYTES_OVERHEAD = 33
"""What a `bytes` takes beside its contents: there is none in a block of 16 or 32."""
_C_SIZES = (65536, 32768, 16384, 8192, 4096, 2048, 1536, 1024, 768, 640, 520, 400, 264, 136, 72, 24)
_MOST = 8192
"""Blocks of one size at most, should an allocator be another than expected."""

_filling: list[bytes] = []


class _MallocInfo(ctypes.Structure):
    """`struct mallinfo2`, from malloc.h of glibc 2.33 and later."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks"),
            *("fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def settle() -> None:
    """Arrange what is there once all is imported, and nothing but forks will follow.

    Collects what is left over, has it that a collection in a fork never looks at (and so never copies) what
    is there, fills the holes, and asks for huge pages.
    """
    gc.collect()
    gc.disable()
    _fill_blocks()
    if hasattr(libc, "mallinfo2"):
        _fill_chunks()
    gc.freeze()
    collapse()


def _fill_blocks() -> None:
    """Leave Python's allocator no block between others that live.

    A fork that gets one copies a page for it; new blocks lie side by side. A page's worth of neighbours is
    taken to mean that no hole is left.
    """
    for size in range(_ALIGNMENT * 3, _LARGEST_BLOCK + 1, _ALIGNMENT):
        last = neighbours = 0
        for _ in range(_MOST):
            _filling.append(bytes(size - _BYTES_OVERHEAD))
            address = id(_filling[-1])
            neighbours = neighbours + 1 if address == last + size else 0
            last = address
            if neighbours * size >= _PAGE - 4 * size:
                break


def _fill_chunks() -> None:
    """Leave the C library's allocator nothing but what is above all that it has given out."""
    libc.mallinfo2.restype = _MallocInfo
    for size in _C_SIZES:
        for _ in range(_MOST):
            above = libc.mallinfo2().keepcost
            libc.malloc(ctypes.c_size_t(size))
            if libc.mallinfo2().keepcost != above:
                break


def collapse() -> int:
    """Ask for huge pages under this process's private memory; return how many it got.

    A fork copies one entry for each instead of 512, and an exit frees as few: about a third of what
    both cost. A kernel that does not know the request, or has no such pages to give, changes nothing.
    """
    collapsed = 0
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
        areas = [line.split() for line in maps]
    for area in areas:
        if area[1].startswith("rw") and (len(area) == 5 or area[5] == "[heap]"):
            start, end = (int(word, 16) for word in area[0].split("-"))
            for at in range(-(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE, _HUGE):
                collapsed += libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(_HUGE), _MADV_COLLAPSE) == 0
    return collapsed
