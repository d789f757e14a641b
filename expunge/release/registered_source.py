"""Registered versions as a source of models, for ``expunge.models``."""

from pathlib import Path

from expunge.release.registry import Registry


def registered_folder(name: str, version: str) -> tuple[Path, str]:
    """The folder of a registered version, and ``NAME VERSION``.

    Args:
        name: the registered model; empty for the default one.
        version: a number or an alias.

    Raises:
        ExpungeError: the store does not answer, or there is no such version.
    """
    registry = Registry(name=name) if name else Registry()
    chosen = registry.get(version)
    return registry.folder(chosen.version), f"{chosen.name} {chosen.version}"
