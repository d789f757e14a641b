"""One bench for all tests; they leave it as it is."""

from collections.abc import Iterator

import pytest
import torch

from expunge.benchmark.materials import Bench
from tests.benchmark.bench import make_bench, small


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small only lose by threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def bench(tiny_model) -> Bench:
    return make_bench(tiny_model, small())
