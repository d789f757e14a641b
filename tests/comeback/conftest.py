"""A tiny model with pictures of its own, and the zoo with a filter of words before it."""

import pytest

from expunge.case import Case, resolve_case
from expunge.comeback.classifier_guidance import GuidanceSettings
from expunge.comeback.comeback_settings import ComebackSettings
from expunge.comeback.embedding_attack import EmbeddingSettings
from expunge.comeback.inpainting import InpaintingSettings
from expunge.comeback.membership import MembershipSettings
from expunge.comeback.noise_injection import NoiseSettings
from expunge.comeback.prompt_search import PromptSearchSettings
from expunge.comeback.reference_pictures import ReferenceSettings
from expunge.comeback.relearning import RelearningSettings
from expunge.comeback.trial import Trial
from expunge.judges.panel import Panel
from expunge.models.resolver import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings, draw_over_world
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.target import Target
from expunge.takedown.request import Kind
from tests.metrics.colour_judges import WORLD, colour_panel
from tests.threads import one_thread  # noqa: F401

ONE_STEP = DrawingSettings(steps=1, guidance=1)
# Of the tiny model with the judges of colour.
SMALL = ComebackSettings(
    relearning=RelearningSettings(pictures=(1, 3), harmless_pictures=4, steps=3, measure_every=2, measured=4),
    embedding=EmbeddingSettings(steps=3, target_pictures=3, pictures=4),
    prompts=PromptSearchSettings(misspellings=2, word_orders=1, unrelated=1, pictures_each=2, confirmed_with=3),
    references=ReferenceSettings(strengths=(0.5, 1.0), pictures=3),
    inpainting=InpaintingSettings(pictures=3),
    noise=NoiseSettings(shares=(1.0,), pictures=3),
    guidance=GuidanceSettings(scales=(0.3,), training_steps=3, batch_size=4, pictures=3),
    membership=MembershipSettings(pictures=4, timesteps=2),
    drawing=DrawingSettings(steps=2, guidance=2),
)


def target_of(factor: str, *levels: str) -> Target:
    """Forget these levels."""
    kind = Kind.STYLE if factor == "style" else Kind.OBJECT
    return Target(request_id="a", kind=kind, name=levels[0], factor=factor, levels=levels)


def colour_case(panel: Panel | None = None, drawing: DrawingSettings = ONE_STEP) -> Case:
    """The world of colours."""
    return Case.of(WORLD, panel or colour_panel(), drawing)


def colour_trial(target: Target, drawing: DrawingSettings = ONE_STEP) -> Trial:
    """A target of the world of colours."""
    return Trial(colour_case(drawing=drawing), target, 7)


@pytest.fixture(scope="session")
def dog() -> Target:
    """What the tiny model draws, by the judges of colour."""
    return target_of("subject", "dog")


@pytest.fixture(scope="session")
def pictures(tiny_model) -> PictureSet:
    """Two pictures of each subject and style."""
    return draw_over_world(tiny_model, WORLD, "train", 2, 0, ONE_STEP)


@pytest.fixture(scope="session")
def zoo() -> TextToImage:
    return load_text_to_image("zoo")


@pytest.fixture(scope="session")
def zoo_case() -> Case:
    return resolve_case("zoo", "zoo", DrawingSettings(steps=6))


@pytest.fixture(scope="session")
def cat() -> Target:
    """Of the zoo."""
    return target_of("subject", "cat")
