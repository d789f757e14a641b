"""What is to be drawn where a target was: ``neighbour``, ``neighbour:NAME``, ``content`` or ``nothing``."""

from typing import Literal, get_args

from expunge.takedown.names import check_name

Instead = Literal["neighbour", "content", "nothing"]
NEIGHBOUR: Instead = "neighbour"


def read_instead(text: str) -> tuple[Instead, str]:
    """What a request says, and the neighbour that it names; "" if it names none.

    Raises:
        ValueError: it is none of the forms.
    """
    for what in get_args(Instead):
        if text == what:
            return what, ""
    what, colon, name = text.partition(":")
    if what.strip() != NEIGHBOUR or not colon:
        raise ValueError(f"is {text[:40]!r}; write {', '.join(get_args(Instead))} or {NEIGHBOUR}:NAME")
    return NEIGHBOUR, check_name(name)
