"""ZenML pipelines. Each module is named after its pipeline."""

import sys
from pathlib import Path

from pipelines.clear_errors import show_clear_errors

if Path(sys.argv[0]).name == "zenml":  # the command line; who imports a pipeline keeps the tracebacks
    show_clear_errors()
