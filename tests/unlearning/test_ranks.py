"""Two processes make the update that one makes, whatever is trained and however it is divided among them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from expunge.errors import ExpungeError
from expunge.unlearning.batches import draw_batch, generator_of
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.ranks import ALONE, OTHER, Ranks
from expunge.unlearning.sharding import shard_of
from expunge.unlearning.trace import Trace
from expunge.unlearning.unlearn_settings import UnlearnSettings
from tests.unlearning.conftest import make_set
from tests.unlearning.two_ranks import PUBLISHED, RUNS, done, save

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-5  # relative; float64 here, so much less is expected
ROUGH = 0.03  # in bf16: a half of a batch is rounded otherwise than the whole


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes found, in a folder for each run."""
    folder = tmp_path_factory.mktemp("ranks")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.unlearning.two_ranks", str(folder), str(rank)], cwd=ROOT, env=environment
        )
        for rank in (0, 1)
    ]
    assert [each.wait(timeout=900) for each in started] == [0, 0]
    return folder


CASES = [f"{way}, {name}" for way in ("replicated", "sharded") for name in RUNS] + [
    f"replicated, {name}" for name in PUBLISHED
]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_update_as_one(together: Path, tmp_path: Path, case: str) -> None:
    tolerance = ROUGH if case.endswith("bf16") else TOLERANCE
    save(tmp_path / "alone", done(*(RUNS | PUBLISHED)[case.partition(", ")[2]]))
    assert (together / case / "key").read_text() == (tmp_path / "alone" / "key").read_text()
    one, two = (load_file(folder / "tensors.safetensors") for folder in (tmp_path / "alone", together / case))
    assert one.keys() == two.keys()
    for name in one:
        assert (two[name] - one[name]).norm() <= tolerance * one[name].norm(), name
    traces = [
        Trace.model_validate_json((folder / "trace.json").read_text())
        for folder in (tmp_path / "alone", together / case)
    ]
    assert traces[0].calibration == traces[1].calibration or traces[1].calibration.learning_rate == pytest.approx(
        traces[0].calibration.learning_rate, rel=tolerance
    )
    for row_1, row_2 in zip(*(trace.rows for trace in traces), strict=True):
        for field in ("forget_loss", "retain_loss", "cosine", "change_forget", "change_retain", "probe_retain"):
            expected = getattr(row_1, field)
            assert getattr(row_2, field) == (expected and pytest.approx(expected, rel=tolerance, abs=1e-12)), field
        assert row_2.step_share == row_1.step_share


@pytest.mark.parametrize("sharded", [False, True])
def test_a_gradient_that_is_not_finite_stops_all_of_them(together: Path, sharded: bool) -> None:
    said = [(together / f"broken-{sharded}-{rank}").read_text() for rank in (0, 1)]
    assert all(each.startswith("ExpungeError: step ") and each.endswith("finite True)") for each in said), said
    assert not all(OTHER in each for each in said)
    assert [(together / f"told-{rank}").read_text() for rank in (0, 1)] == ["mine", OTHER]


def test_parts_of_a_batch_are_the_batch() -> None:
    batch = draw_batch(make_set(7, 1, ("a", "b")), torch.arange(7), 10, generator_of(0))
    parts = [Ranks(rank, 3).parts([batch])[0] for rank in range(3)]
    assert [len(part) for part, _ in parts] == [2, 2, 3] and sum(share for _, share in parts) == pytest.approx(1)
    for field in ("latents", "noise", "level", "indices", "prompted"):
        torch.testing.assert_close(torch.cat([getattr(part, field) for part, _ in parts]), getattr(batch, field))
    for name, each in batch.anchors.items():
        torch.testing.assert_close(torch.cat([part.anchors[name] for part, _ in parts]), each)
    assert ALONE.parts([batch]) == [(batch, 1.0)]


@pytest.mark.parametrize("rows", [1, 2, 5, 6])
def test_shards_are_the_whole(rows: int) -> None:
    whole = torch.arange(rows * 2.0).view(rows, 2)
    parts = whole.chunk(2)
    like = [parts[rank] if rank < len(parts) else whole[:0] for rank in (0, 1)]
    torch.testing.assert_close(torch.cat([shard_of(whole, each, rank, 2) for rank, each in enumerate(like)]), whole)


@pytest.mark.parametrize(
    ("method", "ranks", "field"),
    [
        ("concept_ablation", Ranks(0, 2), "processes"),
        ("unified_concept_editing", Ranks(0, 2), "processes"),
        ("null_space_editing", Ranks(0, 2), "processes"),
        ("orthogonal_concept_erasure", Ranks(0, 2), "processes"),
        ("restricted_gradient", Ranks(0, 2, sharded=True), "sharded"),
    ],
)
def test_methods_that_do_not_run_so_say_it(denoiser, process, sets, method: str, ranks: Ranks, field: str) -> None:
    settings = UnlearnSettings(method=method, learning_rate=1e-4, pace=None, steps=1)
    with pytest.raises(ExpungeError, match=rf"hardware\.{field}: \w+ does not run so"):
        unlearn(denoiser, process, sets, settings, None, Hooks(progress=False, ranks=ranks))


def test_a_batch_smaller_than_the_processes_is_refused(denoiser, process, sets) -> None:
    settings = UnlearnSettings(learning_rate=1e-4, forget_batch_size=2)
    with pytest.raises(ExpungeError, match="forget_batch_size: 2 given, for 3 processes"):
        unlearn(denoiser, process, sets, settings, None, Hooks(progress=False, ranks=Ranks(0, 3)))
