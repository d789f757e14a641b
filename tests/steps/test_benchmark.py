"""The whole benchmark pipeline on a tiny model: the table it writes, and a second run that computes nothing."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.benchmark.bench import SMALL
from tests.tiny_clip import make_tiny_clip

pytestmark = pytest.mark.slow

WORLD = {
    "templates": {
        "train": ["{subject} in {style}", "the {subject} by {style}"],
        "held_out": ["a {subject} of {style}", "{style} {subject} on white"],
    },
    "factors": {
        "subject": {name: {"train": [name], "held_out": [f"the {name}"]} for name in ("cat", "dog", "horse", "car")},
        "style": {name: {"train": [name], "held_out": [name]} for name in ("noto", "twemoji", "fluent")},
    },
}


def test_from_config_to_table_and_again(
    zenml_home: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from expunge.benchmark.benchmark_settings import BenchmarkSettings
    from pipelines.benchmark_pipeline import benchmark_pipeline

    monkeypatch.chdir(tmp_path)
    Path("world.yaml").write_text(yaml.safe_dump(WORLD, sort_keys=False))
    parameters = {
        "benchmark": BenchmarkSettings.model_validate(SMALL),
        "base_model": str(tiny_folder),
        "world": "world.yaml",
        "judges": f"local-dir:{make_tiny_clip(tmp_path / 'clip')}",
        "folder": "bench",
    }
    run = benchmark_pipeline(**parameters)
    assert str(run.status) == "completed"
    results = run.steps["benchmark_cells"].outputs["benchmark_results"][0].load()
    assert [each.status for each in results.cells] == ["done"] * 4
    stored = {path: path.stat().st_mtime_ns for path in Path("bench/cells").iterdir()}
    assert len(stored) == 4
    table = pd.read_parquet("bench/table.parquet")
    assert set(table["comparison"]) == {"equal_forgetting", "equal_budget"}
    artifacts = run.steps["benchmark_table"].outputs
    pd.testing.assert_frame_equal(artifacts["benchmark_table"][0].load(), table, check_dtype=False)
    assert str(artifacts["benchmark_page"][0].load()) == Path("bench/table.html").read_text(encoding="utf-8")
    assert str(artifacts["benchmark_markdown"][0].load()) == Path("bench/table.md").read_text(encoding="utf-8")

    again = benchmark_pipeline(**parameters)
    assert str(again.steps["draw_pool"].status) == "cached"
    repeated = again.steps["benchmark_cells"].outputs["benchmark_results"][0].load()
    assert repeated.cells == results.cells
