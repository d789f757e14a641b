"""ZenML pipelines. Each module is named after its pipeline."""

import sys
from pathlib import Path

from pipelines.console import speak_clearly

if Path(sys.argv[0]).name == "zenml":  # the command line; who imports a pipeline keeps the tracebacks
    speak_clearly()
