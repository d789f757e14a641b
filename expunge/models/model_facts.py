"""Which model was measured, as facts."""

from pydantic import BaseModel, ConfigDict


class ModelFacts(BaseModel):
    """Which model was measured.

    Attributes:
        source: as given.
        version: ``NAME VERSION`` of a registered model, else empty.
        digest: SHA-256 of its weights.
        sampler: what it draws with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: str
    version: str
    digest: str
    sampler: str
