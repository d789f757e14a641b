"""Methods by name. A method registers itself where it is defined; nothing else compares names."""

from collections.abc import Callable
from typing import Any, TypeVar

from expunge.errors import ExpungeError
from expunge.unlearning.methods.method import Method

M = TypeVar("M", bound=Method[Any])
_METHODS: dict[str, type[Method[Any]]] = {}


def register(name: str) -> Callable[[type[M]], type[M]]:
    """Class decorator that adds a method under a name.

    Raises:
        ValueError: the name is taken.
    """

    def add(method: type[M]) -> type[M]:
        if name in _METHODS:
            raise ValueError(f"method '{name}' is registered already, by {_METHODS[name].__qualname__}")
        _METHODS[name] = method
        return method

    return add


def get_method(name: str) -> type[Method[Any]]:
    """The method of that name.

    Raises:
        ExpungeError: there is none; the message lists the known ones.
    """
    if name not in _METHODS:
        raise ExpungeError(f"method: '{name}' is not known; known are {', '.join(method_names())}")
    return _METHODS[name]


def method_names() -> list[str]:
    """All registered names, sorted."""
    return sorted(_METHODS)
