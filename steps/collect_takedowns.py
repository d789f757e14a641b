"""Claim what is pending in the inbox."""

from typing import Annotated

from zenml import get_step_context, step

from expunge.prompts.sources import load_prompt_grid
from expunge.prompts.target import resolve_target
from expunge.takedown.inbox import Inbox
from expunge.takedown.owner import this_owner
from expunge.takedown.request import TakedownBatch
from expunge.takedown.store import open_store


@step(enable_cache=False)
def collect_takedowns(inbox: str, prompt_grid: str) -> Annotated[TakedownBatch, "takedowns"]:
    """Validate and claim every pending request; bad ones are rejected with the reason written on them.

    What earlier requests asked for is told as well, so that the run does not retain it.
    """
    grid = load_prompt_grid(prompt_grid)
    owner = this_owner(str(get_step_context().pipeline_run.id))
    box = Inbox(open_store(inbox))
    batch = box.claim_pending(owner, lambda request: resolve_target(request, grid))
    return batch.model_copy(update={"forgotten": box.fulfilled()})
