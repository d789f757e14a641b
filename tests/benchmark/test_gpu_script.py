"""The script that measures a GPU runs whole, on models too small to measure anything."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.random_models import SIZES
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def test_it_runs_and_says_what_it_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu.measure", "--sizes", "tiny", "--device", "cpu"]
    command += ["--parameters", "100000", "--takedown", "tiny", "--out", str(tmp_path / "gpu.md")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    text = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert text.count("| tiny, ") == 16  # two precisions, two parts, four rows
    assert "device no GPU" in text and "not counted" in text and "--device cpu" in text
    for step in ("draw pool", "diversify", "cache gradients", "unlearn, 10 steps", "evaluate", "gate, save and load"):
        assert f"| {step} |" in text


@pytest.mark.parametrize(("size", "parameters"), [("sd15", 859.5e6), ("sdxl", 2.567e9)])
def test_sizes_are_the_published_ones(size: str, parameters: float, tmp_path: Path) -> None:
    model = SIZES[size](tmp_path, "meta")
    assert sum(each.numel() for each in model.denoiser.parameters()) == pytest.approx(parameters, rel=1e-3)
