"""What the numbers were taken on, and by which command."""

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch


def machine() -> dict[str, str]:
    """Processor, cores, threads, load, versions and date, as people read them."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return {
        "processor": model,
        "cores": str(os.cpu_count() or 0),
        "threads": str(torch.get_num_threads()),
        "load at the end": f"{os.getloadavg()[0]:.1f}",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def machine_line() -> str:
    """The same in one line, as it stands at the end of a table."""
    return ", ".join(f"{name} {value}" for name, value in machine().items())


def command() -> str:
    """The command line of this process, the program by its name alone."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
