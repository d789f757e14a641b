"""A process that does as it is told; for ``test_processes``.

python -m tests.part_taker FOLDER NUMBER
"""

import os
import signal
import time
from pathlib import Path
from typing import Any

from expunge.errors import ExpungeError
from expunge.processes import report, take_part


def do(folder: Path, number: int, job: dict[str, Any]) -> None:
    """What the job says for this number."""
    match job["do"][number]:
        case "report":
            report(folder, f"hello from {number}")
        case "refuse":
            raise ExpungeError("batch_size: too large; take less")
        case "hear":
            time.sleep(0.2)
            raise ExpungeError("another one failed")
        case "break":
            raise RuntimeError("a mistake of ours")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "wait":
            report(folder, "here")
            time.sleep(60)


if __name__ == "__main__":
    take_part(do)
