"""What is found by name: worlds, judges, models and families, as entry points of installed packages.

So no room imports one that stands above it, and another package can add its own: an entry point in the group
``expunge.GROUP`` of its pyproject.toml is all.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from expunge.errors import ExpungeError

Group = Literal["worlds", "judges", "detectors", "models", "model_sources", "families"]


def plugin_names(group: Group) -> list[str]:
    """The names that are known in a group, sorted."""
    return sorted(set(entry_points(group=f"expunge.{group}").names))


def load_plugin(group: Group, name: str) -> Any:
    """What goes by that name in a group.

    Raises:
        ExpungeError: nothing does; the message lists what there is.
    """
    found = [each for each in entry_points(group=f"expunge.{group}") if each.name == name]
    if not found:
        raise ExpungeError(f"{group}: there is none called '{name}'; known are {', '.join(plugin_names(group))}")
    return found[0].load()


def load_dotted(group: Group, name: str) -> Any:
    """What a group knows by that name, or else ``PACKAGE.MODULE:NAME`` of what is installed.

    Raises:
        ExpungeError: there is neither.
    """
    if ":" not in name:
        return load_plugin(group, name)
    try:
        return EntryPoint(name=name, value=name, group=f"expunge.{group}").load()
    except (ImportError, AttributeError) as error:
        raise ExpungeError(f"{group}: '{name}' cannot be loaded ({error}); write PACKAGE.MODULE:NAME") from error
