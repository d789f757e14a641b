"""Where a world comes from."""

from pathlib import Path

from expunge.errors import ExpungeError
from expunge.plugins import load_plugin, plugin_names
from expunge.prompts.world import World, read_world


def load_world(source: str) -> World:
    """The world of that name (``zoo``, ``digits``, or another package's), else the YAML file of that name.

    Raises:
        ExpungeError: the file is missing or is no world.
    """
    names = plugin_names("worlds")
    if source in names:
        return load_plugin("worlds", source)()
    if not source.strip():
        raise ExpungeError(f"world: is empty; give a YAML file or one of {', '.join(names)}")
    return read_world(Path(source))
