"""Memory that a process frees it keeps, for the next layer's tensors, which are as large."""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # parameters of mallopt, as glibc's malloc.h numbers them
LARGEST = 32 << 20  # bytes; from here on glibc maps a block by itself, whatever it is told
KEPT = 1 << 30  # bytes at the end of the heap


def keep_freed_memory() -> None:
    """Until the process ends; without effect where malloc is not glibc's.

    On a CPU glibc hands every large tensor back to the system, which clears its pages when the next layer asks for
    them: a tenth of the time that drawing takes (``benchmarks/freed_memory.py``).
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, KEPT)
