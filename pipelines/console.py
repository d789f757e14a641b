"""What a pipeline says on a terminal: mistakes a user can mend in one line each, and no chatter."""

import logging
import sys
from types import TracebackType

from pydantic import ValidationError

from expunge.errors import explained
from expunge.progress import make_streams_safe


def speak_clearly() -> None:
    """From now on an uncaught error of input, configuration or a system below ends the process with its message alone.

    ZenML would wrap it in hundreds of lines of traceback. Anything else goes to the hook that was there before, whole.
    Silenced besides: two lines for each value that ZenML hands from step to step.
    """
    logging.getLogger("zenml.artifacts.external_artifact").setLevel(logging.WARNING)
    make_streams_safe()
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
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ValidationError):
        cause = cause.__cause__ or cause.__context__
    if line := explained(error):
        return [" ".join(line.split())]
    return [_described(dict(problem)) for problem in cause.errors()] if cause is not None else []


def _described(problem: dict) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    return f"{where}: {message}" + ("" if isinstance(given, dict) else f"; given was {given!r}")
