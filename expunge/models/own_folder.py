"""Temporary folders that last as long as somebody holds them."""

import shutil
import tempfile
import weakref
from pathlib import Path


class OwnFolder:
    """A temporary folder; it is gone with the last one who holds this, at the latest with the process.

    Attributes:
        path: the folder, empty.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="expunge-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
