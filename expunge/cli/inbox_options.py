"""The options of every command that works on an inbox."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from expunge.cli.output import as_json
from expunge.takedown.inbox import Inbox
from expunge.takedown.model_name import DEFAULT_NAME, check_name
from expunge.takedown.object_store import open_store

inbox_option = click.option(
    "--inbox",
    envvar="EXPUNGE_INBOX",
    default=".expunge/inbox",
    show_default=True,
    show_envvar=True,
    help="A folder or s3://BUCKET/PREFIX.",
)
model_option = click.option(
    "--model",
    envvar="EXPUNGE_MODEL",
    default=DEFAULT_NAME,
    show_default=True,
    show_envvar=True,
    help="The registered model that the requests are about.",
)


def with_inbox(command: Callable) -> Callable:
    """Add ``--inbox`` and ``--model``, given to the command as ``box``, and ``--json``, as ``machine``."""

    @inbox_option
    @model_option
    @as_json
    @wraps(command)
    def opened(inbox: str, model: str, **given: Any) -> Any:
        return command(box=Inbox(open_store(inbox), check_name(model, "--model")), **given)

    return opened
