"""Sizes of all comes-back tests together, and two profiles of them."""

from collections.abc import Sequence

from pydantic import Field

from expunge.comeback.classifier_guidance import GuidanceSettings
from expunge.comeback.embedding_attack import EmbeddingSettings
from expunge.comeback.inpainting import InpaintingSettings
from expunge.comeback.membership import MembershipSettings
from expunge.comeback.noise_injection import NoiseSettings
from expunge.comeback.prompt_search import PromptSearchSettings
from expunge.comeback.reference_pictures import ReferenceSettings
from expunge.comeback.relearning import RelearningSettings
from expunge.errors import ExpungeError
from expunge.pictures.drawing import DrawingSettings
from expunge.settings import Settings


class ComebackSettings(Settings):
    """Settings of every test; all models are tested alike."""

    relearning: RelearningSettings = RelearningSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    prompts: PromptSearchSettings = PromptSearchSettings()
    references: ReferenceSettings = ReferenceSettings()
    inpainting: InpaintingSettings = InpaintingSettings()
    noise: NoiseSettings = NoiseSettings()
    guidance: GuidanceSettings = GuidanceSettings()
    membership: MembershipSettings = MembershipSettings()
    drawing: DrawingSettings = DrawingSettings()
    seed: int = Field(default=4000, ge=0, description="of prompts, noise and batches; another one than unlearning uses")


FULL = ComebackSettings()
# Forty seconds a model on one core with the zoo; shares are known to within about a quarter.
QUICK = ComebackSettings(
    relearning=RelearningSettings(steps=20, measure_every=10, measured=12),
    embedding=EmbeddingSettings(steps=60, pictures=16),
    prompts=PromptSearchSettings(misspellings=3, word_orders=2, unrelated=2, pictures_each=4, confirmed_with=12),
    references=ReferenceSettings(strengths=(0.5, 0.84), pictures=12),
    inpainting=InpaintingSettings(pictures=12),
    noise=NoiseSettings(shares=(1.0,), pictures=12),
    guidance=GuidanceSettings(scales=(0.3,), training_steps=150, pictures=12),
    membership=MembershipSettings(pictures=24, timesteps=4),
    drawing=DrawingSettings(steps=6),
)
PROFILES = {"quick": QUICK, "full": FULL}
NONE = "none"


def chosen_comeback(name: str, targets: Sequence[str] | None = None, never_saw: str = "") -> ComebackSettings | None:
    """The settings of a profile; None for ``none``: the tests are not made.

    Args:
        name: ``none``, ``quick`` or ``full``.
        targets: what is to be tested, where people name it; None where it is known otherwise.
        never_saw: the model that never saw them, as people name it.

    Raises:
        ExpungeError: there is no profile of that name, nothing to test, or a reference for tests that are not made.
    """
    if name == NONE:
        if never_saw:
            raise ExpungeError(f"never_saw: '{never_saw}' given, but comeback is '{NONE}'; ask for quick or full.")
        return None
    if name not in PROFILES:
        raise ExpungeError(f"comeback: '{name}' given; there are {', '.join((NONE, *PROFILES))}.")
    if targets is not None and not targets:
        raise ExpungeError(f"comeback: '{name}' given, but no target; name what should not come back, KIND:NAME.")
    return PROFILES[name]
