"""Killing a release between any two of its effects.

An effect is a write that outlives the process: an object in the inbox's store, a call that changes MLflow, a file. A
process that counts them is killed, by SIGKILL, before or after the one with a given number. It is forked, so that each
crash point costs no start-up; the MLflow store is opened after the fork, in a file of its own.
"""

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from expunge.takedown.folder_store import FolderStore
from expunge.takedown.s3_store import S3Store

WRITES = {
    FolderStore: ("create", "replace", "delete"),
    S3Store: ("create", "replace", "delete"),
    Path: ("write_text",),
    MlflowClient: (
        "create_run", "log_artifact", "log_artifacts", "log_batch", "set_terminated", "create_registered_model",
        "create_model_version", "set_registered_model_alias", "delete_registered_model_alias", "set_model_version_tag",
        "delete_model_version_tag",
    ),
}  # fmt: skip


@contextmanager
def counted(stop: int | None) -> Iterator[list[str]]:
    """Count effects, by name; with ``stop``, die before effect ``stop // 2``, or after it where ``stop`` is odd."""
    seen: list[str] = []
    kept = [(kind, name, getattr(kind, name)) for kind, names in WRITES.items() for name in names]

    def watched(name: str, real: Callable) -> Callable:
        @wraps(real)
        def effect(*given: Any, **named: Any) -> Any:
            number = len(seen)
            seen.append(name)
            if stop == 2 * number:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = real(*given, **named)
            if stop == 2 * number + 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return effect

    for kind, name, real in kept:
        setattr(kind, name, watched(f"{kind.__name__}.{name}", real))
    try:
        yield seen
    finally:
        for kind, name, real in kept:
            setattr(kind, name, real)


def in_a_process(work: Callable[[], None]) -> int:
    """Run something in a forked process; its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
