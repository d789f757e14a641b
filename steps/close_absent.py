"""Close the requests whose target the model does not draw."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.evaluation.look import Look
from expunge.release import closing_absent
from expunge.release.base_model import BaseModelFacts
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.request import TakedownBatch


@step(enable_cache=False)
def close_absent(
    inbox: str, registered_model: str, takedowns: TakedownBatch, look: Look, facts: BaseModelFacts, owner: str
) -> Annotated[TakedownBatch, "takedowns_to_work_on"]:
    """The requests that are left to be worked on; of the others the evidence is in the inbox."""
    box = Inbox(open_store(inbox), registered_model)
    return closing_absent.close_absent(box, takedowns, look, facts, owner)
