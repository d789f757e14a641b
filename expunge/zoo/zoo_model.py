"""The embedded emoji model."""

from pathlib import Path


def zoo_folder() -> Path:
    """Its diffusers folder, which ships with the package."""
    return Path(__file__).parent / "weights" / "emoji"
