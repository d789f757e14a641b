"""Claim what is pending in the inbox."""

from typing import Annotated

from zenml import get_step_context, step

from expunge.prompts.load_world import load_world
from expunge.prompts.target import resolve_target
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.owner import this_owner
from expunge.takedown.request import TakedownBatch


@step(enable_cache=False)
def collect_takedowns(inbox: str, world: str) -> Annotated[TakedownBatch, "takedowns"]:
    """Validate and claim every pending request; bad ones are rejected with the reason written on them.

    What earlier requests asked for is told as well, so that the run does not retain it.
    """
    known = load_world(world)  # first: if it cannot be read that is nobody's request's fault
    owner, box = this_owner(str(get_step_context().pipeline_run.id)), Inbox(open_store(inbox))
    batch = box.claim_pending(owner, lambda request: resolve_target(request, known))
    return batch.model_copy(update={"forgotten": box.fulfilled()})
