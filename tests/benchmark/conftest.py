"""One bench for all tests; they leave it as it is."""

import pytest

from expunge.benchmark.bench import Bench
from tests.benchmark.bench import make_bench, small
from tests.threads import one_thread  # noqa: F401


@pytest.fixture(scope="session")
def bench(tiny_model) -> Bench:
    return make_bench(tiny_model, small())
