"""Memory that was freed is kept for the next values, where the C library is glibc's.

A pass over a model frees and asks for tens of MiB in every layer. glibc gives them back to the
system in between, which clears every page of them again (docs/performance.md).
"""

import ctypes
from functools import cache

TRIM, MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3)
KEPT = 64 * 2**20  # bytes that are kept at most
OWN_MAPPING = 32 * 2**20  # bytes from where on a block comes and goes by itself; glibc's largest


@cache
def keep_freed() -> bool:
    """From now on the process keeps up to KEPT bytes that it frees; whether that could be set."""
    try:
        libc = ctypes.CDLL(None)
        return bool(libc.mallopt(TRIM, KEPT)) and bool(libc.mallopt(MMAP, OWN_MAPPING))
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return False
