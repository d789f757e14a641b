"""A registered model version, as facts. Reading one needs no MLflow; ``expunge.release.registry`` makes them."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class Period(BaseModel):
    """A time as champion; ``until`` is None while it lasts."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    since: datetime
    until: datetime | None = None


class ModelVersion(BaseModel):
    """A version of a registered model.

    Attributes:
        aliases: what it is now: ``champion``, ``former-champion``, ``challenger`` or none of them.
        tags: facts it was registered with, and the registry's own.
        run_id: the MLflow run that holds its evidence.
        digest: hash of its weights; empty if it was not registered by Expunge.
        champion_periods: when it was champion, oldest first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    version: int
    aliases: tuple[str, ...]
    created_at: datetime
    tags: dict[str, str]
    run_id: str
    digest: str
    champion_periods: tuple[Period, ...]
