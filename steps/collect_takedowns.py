"""Claim what is pending in the inbox."""

from typing import Annotated

from zenml import step

from expunge.prompts.load_world import load_world
from expunge.prompts.open_requests import opened
from expunge.prompts.target import unworkable
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.request import TakedownBatch


@step(enable_cache=False)
def collect_takedowns(
    inbox: str, world: str, registered_model: str, owner: str, only: list[str]
) -> Annotated[TakedownBatch, "takedowns"]:
    """Validate and claim every pending request for ``owner``; bad ones are rejected with the reason written on them.

    ``only`` names the requests to look at, all if empty. What earlier requests asked for is told as well, so that the
    run does not retain it.
    """
    drawn = load_world(world)  # before anything is claimed or rejected: a world that cannot be read stops the run

    def examine(batch: TakedownBatch) -> dict[str, str]:
        return unworkable(batch, opened(drawn, (*batch.forgotten, *batch.requests)))

    return Inbox(open_store(inbox), registered_model).claim_pending(owner, examine, only)
