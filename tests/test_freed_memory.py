"""What a process frees it need not ask the system for again."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
if sys.argv[1] == "kept":
    from expunge.freed_memory import keep_freed_memory
    keep_freed_memory()

def layers(count):
    for _ in range(count):
        first, second = np.ones(2_000_000), np.ones(500_000)  # 16 and 4 MB

layers(2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
layers(20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")
def test_pages_are_not_asked_for_again() -> None:
    faults = {}
    for how in ("given back", "kept"):
        done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
        faults[how] = int(done.stdout)
    assert faults["kept"] < 0.05 * faults["given back"], faults
