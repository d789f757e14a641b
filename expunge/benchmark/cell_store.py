"""Results of cells on disk, one JSON file each, so that a stopped benchmark goes on where it was."""

import json
import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from expunge.benchmark.cell import CellResult
from expunge.errors import ExpungeError

FORMAT_VERSION = 1


class CellStore:
    """A folder of results by key.

    Args:
        folder: made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Where the result of that key lies."""
        return self.folder / f"{key[:24]}.json"

    def find(self, key: str) -> CellResult | None:
        """The result of that key; None if there is none, or if it failed: a failed cell is tried again.

        Raises:
            ExpungeError: the file is not what ``put`` wrote.
        """
        path = self.path(key)
        if not path.exists():
            return None
        try:
            stored = json.loads(path.read_text())
            if stored["format_version"] != FORMAT_VERSION or stored["result"]["key"] != key:
                raise ExpungeError(f"cell {path}: of another format or another cell; remove the file to run it again")
            result = CellResult.model_validate(stored["result"])
        except (OSError, json.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
            raise ExpungeError(f"cell {path}: {error}; remove the file to run the cell again") from error
        return result if result.status == "done" else None

    def put(self, result: CellResult) -> None:
        """Write a result under another name, then rename it: it is there whole or not at all."""
        text = json.dumps({"format_version": FORMAT_VERSION, "result": result.model_dump(mode="json")}, indent=1)
        handle, partial = tempfile.mkstemp(prefix="partial-", dir=self.folder)
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
        os.replace(partial, self.path(result.key))
