"""A registered model version, as facts. Reading one needs no MLflow; ``expunge.release.registry`` makes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

SEPARATOR = ", "  # between the requests in a tag


class ModelVersion(BaseModel):
    """A version of a registered model.

    Attributes:
        aliases: what it is now: ``champion``, ``former-champion``, ``challenger`` or none of them.
        tags: facts it was registered with, and the registry's own.
        run_id: the MLflow run that holds its evidence; of a model registered more than once, the last one's.
        earlier_runs: the runs of earlier registrations, oldest first.
        digest: hash of its weights; empty if it was not registered by Expunge.
        registered_at: when its present evidence was registered.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    version: int
    aliases: tuple[str, ...]
    created_at: datetime
    tags: dict[str, str]
    run_id: str
    earlier_runs: tuple[str, ...] = ()
    digest: str
    registered_at: datetime

    @property
    def requests(self) -> tuple[str, ...]:
        """Ids of the requests that it was made for; what its base had forgotten is not among them."""
        return tuple(each for each in self.tags.get("requests", "").split(SEPARATOR) if each)

    @property
    def made_from(self) -> int | None:
        """The champion that it was made from; None if from a model that is not registered."""
        base = self.tags.get("base_version", "")
        return int(base) if base.isdecimal() else None


@dataclass(frozen=True)
class Evidence:
    """What is registered beside a model.

    Attributes:
        run_name: how the run that holds it is shown.
        tags: facts about the model (base version, requests, hashes, configuration, commit). All who read the
            registry read them: no secrets.
        metrics: numbers to compare versions by.
        description: for people, in Markdown, shown with the version.
        datasets: sets that it was made and measured with, SHA-256 by name.
        files: files or folders, by the folder that they go to.
    """

    run_name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    description: str = ""
    datasets: Mapping[str, str] = field(default_factory=dict)
