"""Freed memory is kept for reuse, where the C library is glibc.

A forward pass frees and requests tens of MiB in every layer. glibc returns them to the system in
between, which then clears every page again (docs/performance.md).
"""

import ctypes
from functools import cache

TRIM, MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3)
KEPT = 64 * 2**20  # bytes, the most that is kept
OWN_MAPPING = 32 * 2**20  # bytes from which a block is mapped on its own; glibc's maximum


@cache
def keep_freed() -> bool:
    """Let the process keep up to KEPT freed bytes from now on; return whether it could be set."""
    try:
        libc = ctypes.CDLL(None)
        return bool(libc.mallopt(TRIM, KEPT)) and bool(libc.mallopt(MMAP, OWN_MAPPING))
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return False
