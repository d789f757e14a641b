"""How long the steps of a run took."""

from zenml.client import Client
from zenml.models import PipelineRunResponse


def step_seconds(run: PipelineRunResponse) -> dict[str, float]:
    """Seconds of every finished step of a run, in the order they began; a step from the cache took none."""
    steps = Client().get_pipeline_run(run.id, hydrate=True).steps
    finished = {name: each for name, each in steps.items() if each.start_time and each.end_time}
    timed = sorted((each.start_time, each.end_time, name) for name, each in finished.items())
    return {name: max(0.0, (end - start).total_seconds()) for start, end, name in timed}
