"""Which ZenML stack belongs to a file of settings, asked in a process of its own: commands know nothing of ZenML."""

import json
import subprocess
import sys
from pathlib import Path

from expunge.errors import ExpungeError

SECONDS = 180.0


def find_stack(settings: Path) -> str:
    """The id of the stack that was registered from the settings as they are.

    Raises:
        ExpungeError: ZenML cannot be asked, has no such stack, or one from other settings.
    """
    command = [sys.executable, "-m", "infra.kubernetes.stack", "--settings", str(settings), "--find"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ExpungeError(f"zenml: no answer within {SECONDS:.0f} s; check that its server is up.") from error
    answer = done.stdout.strip().rpartition("\n")[2]
    if answer.startswith("{"):
        return str(json.loads(answer)["id"])
    said = done.stderr.strip().rpartition("\n")[2].removeprefix("Error: ")
    raise ExpungeError(said[:300] or "zenml: cannot be asked; run this where its client is set up.")
