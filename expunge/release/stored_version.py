"""What MLflow holds of a version and of sets, to and from our own words."""

import json
from datetime import UTC, datetime

from mlflow.entities import Dataset, DatasetInput
from mlflow.entities.model_registry import ModelVersion as StoredVersion

from expunge.release.model_version import ModelVersion


def as_input(name: str, digest: str) -> DatasetInput:
    """A set as MLflow notes what a run was made with."""
    shown = digest[:36]  # what MLflow takes
    return DatasetInput(Dataset(name=name, digest=shown, source_type="sha256", source=digest))


def as_version(stored: StoredVersion, aliases: list[str]) -> ModelVersion:
    """A version as MLflow holds it, as facts."""
    created = datetime.fromtimestamp(stored.creation_timestamp / 1000, UTC)
    registered = stored.tags.get("registered_at")
    *earlier, run_id = json.loads(stored.tags.get("evidence_runs", "[]")) or [stored.run_id or ""]
    return ModelVersion(
        name=stored.name,
        version=int(stored.version),
        aliases=tuple(sorted(aliases)),
        created_at=created,
        tags=stored.tags,
        run_id=run_id,
        earlier_runs=tuple(earlier),
        digest=stored.tags.get("digest", ""),
        registered_at=datetime.fromisoformat(registered) if registered else created,
    )
