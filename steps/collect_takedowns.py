"""Claim what is pending in the inbox."""

from typing import Annotated

from zenml import get_step_context, step

from expunge.prompts.load_world import load_world
from expunge.prompts.target import unworkable
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.owner import this_owner
from expunge.takedown.request import TakedownBatch


@step(enable_cache=False)
def collect_takedowns(inbox: str, world: str) -> Annotated[TakedownBatch, "takedowns"]:
    """Validate and claim every pending request; bad ones are rejected with the reason written on them.

    What earlier requests asked for is told as well, so that the run does not retain it.
    """
    drawn = load_world(world)  # before anything is claimed or rejected: a world that cannot be read stops the run
    owner = this_owner(str(get_step_context().pipeline_run.id))
    return Inbox(open_store(inbox)).claim_pending(owner, lambda batch: unworkable(batch, drawn))
