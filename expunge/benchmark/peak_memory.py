"""How much memory a piece of work takes at its highest."""

import gc
import threading
from types import TracebackType
from typing import Self

import psutil

INTERVAL = 0.02  # seconds between two looks


class PeakMemory:
    """The most memory that this process has for itself during a ``with`` block, by looking at it every 20 ms.

    What is mapped from a file does not count: the system can let it go at any time. Memory that earlier work has freed
    but the allocator has kept counts as well: compare runs of one process with each other, not with other processes.

    Attributes:
        megabytes: the peak; final after the block.
    """

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._process = psutil.Process()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def _look(self) -> None:
        now = self._process.memory_info()
        self.megabytes = max(self.megabytes, (now.rss - getattr(now, "shared", 0)) / 2**20)

    def _watch(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._look()

    def __enter__(self) -> Self:
        gc.collect()
        self._look()
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._watcher.join()
        self._look()
