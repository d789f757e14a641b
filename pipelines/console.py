"""What a pipeline says on a terminal: mistakes a user can mend in one line each, and no chatter."""

import logging
import sys
from collections.abc import Iterator
from types import TracebackType

from pydantic import ValidationError

from expunge.errors import ExpungeError


def speak_clearly() -> None:
    """From now on an uncaught error of input or configuration ends the process with its message alone.

    ZenML would wrap it in hundreds of lines of traceback. Anything else goes to the hook that was there before, whole.
    Silenced besides: two lines for each value that ZenML hands from step to step.
    """
    logging.getLogger("zenml.artifacts.external_artifact").setLevel(logging.WARNING)
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        lines = clear_lines(error)
        if lines:
            print("\n".join(f"Error: {line}" for line in lines), file=sys.stderr)
        else:
            before(kind, error, trace)

    sys.excepthook = hook


def clear_lines(error: BaseException) -> list[str]:
    """The messages of the first error in the chain of causes that names a field; none if there is none."""
    for each in _causes(error):
        if isinstance(each, ExpungeError):
            return [str(each)]
        if isinstance(each, ValidationError):
            return [_described(dict(problem)) for problem in each.errors()]
    return []


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _described(problem: dict) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    return f"{where}: {message}" + ("" if isinstance(given, dict) else f"; given was {given!r}")
