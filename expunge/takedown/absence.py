"""Why a request has nothing to remove: a model was asked for the target, and judges did not find it."""

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Found(BaseModel):
    """How often a judge found the target.

    Attributes:
        judge: who looked.
        share: of the pictures, 0–1; ``low`` and ``high``: the ends of its 95 % interval.
        taken_for: what was found most often in the others, empty if there are none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    judge: str
    share: float
    low: float
    high: float
    taken_for: str

    def __str__(self) -> str:
        instead = f", which finds {self.taken_for} most often" if self.taken_for else ""
        return f"{self.share:.3f} [{self.low:.3f}, {self.high:.3f}] by {self.judge}{instead}"


class Absence(BaseModel):
    """What was looked at, by whom, and how little of the target was found. It is about that one model.

    Attributes:
        source: the model, as configured or ``models:/NAME/VERSION``.
        version: of the registered model, None for the configured base.
        digest: SHA-256 of its weights.
        judges: name of the panel.
        judges_digest: SHA-256 of the judges' weights.
        found: by each judge; all of them lie below ``limit``.
        limit: the share below which there is nothing to remove.
        pictures: how many were looked at.
        wordings: the side of the world that they were asked for with.
        prompts_digest: SHA-256 of all prompts and seeds.
        run: who looked.
        at: when the request was closed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: str
    version: int | None
    digest: str
    judges: str
    judges_digest: str
    found: tuple[Found, ...]
    limit: float
    pictures: int
    wordings: str
    prompts_digest: str
    run: str
    at: AwareDatetime

    def __str__(self) -> str:
        shares = "; ".join(map(str, self.found))
        return (
            f"of {self.pictures} pictures by {self.source} the share that shows it is {shares}; "
            f"below {self.limit:g} by every judge there is nothing to remove"
        )
