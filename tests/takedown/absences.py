"""Why there is nothing to remove, as a run writes it."""

from datetime import UTC, datetime

from expunge.takedown.absence import Absence, Found


def absence(version: int | None = None) -> Absence:
    """Of a target that a version, or the base, did not draw in any of 72 pictures."""
    return Absence(
        source=f"models:/m/{version}" if version else "zoo",
        version=version,
        digest="0" * 64,
        judges="zoo",
        judges_digest="1" * 64,
        found=(
            Found(judge="the classifier of style", share=0, low=0, high=0.05, taken_for="none"),
            Found(judge="CLIP", share=0.0139, low=0.0004, high=0.075, taken_for="blob"),
        ),
        limit=0.5,
        pictures=72,
        wordings="held_out",
        prompts_digest="2" * 64,
        run="far-away:1:run",
        at=datetime(2030, 1, 1, tzinfo=UTC),
    )
