"""One bench for all tests; they leave it as it is."""

import pytest

from expunge.benchmark.bench import Bench
from expunge.models.families.stable_diffusion import StableDiffusion
from tests.benchmark.bench import make_bench, small
from tests.evaluation.conftest import load_tiny
from tests.threads import one_thread  # noqa: F401


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    """One that reads the colour world's prompts to the end: others would be refused."""
    return load_tiny(tmp_path_factory.mktemp("benchmark"), 0)


@pytest.fixture(scope="session")
def bench(tiny_model) -> Bench:
    return make_bench(tiny_model, small())
