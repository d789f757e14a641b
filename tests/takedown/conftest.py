"""An inbox in a folder, a clock that is set by hand, and pictures to send."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        # Ahead of every process's start: no live process is taken for one that inherited its number.
        self.now = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **how: float) -> None:
        self.now += timedelta(**how)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def inbox(folder: Path, clock: Clock) -> Inbox:
    return Inbox(open_store(folder), clock=clock)


def picture_bytes(size: tuple[int, int] = (9, 7), format: str = "PNG", mode: str = "RGB", **how) -> bytes:
    """A picture of random pixels, width × height, in a file's bytes."""
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 4), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").convert(mode).save(file, format=format, **how)
    return file.getvalue()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a picture.PNG"
    path.write_bytes(picture_bytes())
    return path
