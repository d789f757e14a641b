"""Finish what a run that died had registered already."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.release.finishing import finish
from expunge.release.registry import Registry
from expunge.reports.certificate_page import render_certificate
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.request import TakedownBatch


@step(enable_cache=False)
def finish_takedowns(
    inbox: str, registered_model: str, takedowns: TakedownBatch, owner: str
) -> Annotated[TakedownBatch, "unfinished_takedowns"]:
    """The requests that are left to be done; of the others outcome and certificate are in the inbox."""
    box = Inbox(open_store(inbox), registered_model)
    return finish(box, Registry(name=registered_model), takedowns, render_certificate, owner)
