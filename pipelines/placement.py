"""Where a pipeline runs: which steps have a job of their own or are tried again, and who holds what the run claims."""

from typing import Any
from uuid import uuid4

from zenml.client import Client
from zenml.execution.pipeline.dynamic.run_context import DynamicPipelineRunContext

from expunge.takedown.owner import lasting_owner, this_owner


def placed(*steps: Any) -> tuple[Any, ...]:
    """The steps, each with what the orchestrator says that it is run with; a local one says nothing."""
    options = getattr(Client().active_stack.orchestrator, "options_of", None)
    if options is None:
        return steps
    return tuple(step.with_options(**given) if (given := options(step.name)) else step for step in steps)


def owner_of_run() -> str:
    """Who claims: this process, or the run itself where a pod that replaces this one goes on with it.

    Under another name it would not hold what was claimed before.
    """
    if not Client().active_stack.orchestrator.config.is_remote:
        return this_owner(uuid4().hex[:12])
    context = DynamicPipelineRunContext.get()
    assert context is not None  # a pipeline's function runs in no other
    return lasting_owner(context.run.id.hex[:12])
