"""``expunge evaluate`` on two tiny models, with prompts and a judge of their size."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from expunge.cli import main
from tests.steps.test_entrypoints import GRID
from tests.tiny import make_tiny_pipeline
from tests.tiny_clip import make_tiny_clip


def expunge(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_pipeline(tmp_path_factory.mktemp("other"), seed=1)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")


@pytest.mark.slow
def test_a_folder_against_another_and_again(other: Path, tiny_folder: Path) -> None:
    Path("grid.yaml").write_text(yaml.safe_dump(GRID, sort_keys=False))
    asked = ["evaluate", str(other), "--against", str(tiny_folder), "--target", "object:cat"]
    asked += ["--prompts", "grid.yaml", "--judges", f"local-dir:{make_tiny_clip(Path('clip'))}"]
    first = expunge(*asked, "--json")
    assert first.exit_code == 0, first.stderr
    said = json.loads(first.stdout)
    assert said["model"]["source"] == str(other) and [each["name"] for each in said["targets"]] == ["cat"]
    page = Path(said["files"]["page"])
    assert all(Path(path).is_file() for path in said["files"].values())
    drawn = {path: path.stat().st_mtime_ns for path in Path(".expunge/evaluations/pictures").iterdir()}
    assert len(drawn) >= 4

    again = expunge(*asked, "--out", "elsewhere", "--hide-target-pictures")
    assert again.exit_code == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in Path(".expunge/evaluations/pictures").iterdir()} == drawn
    result = json.loads(Path("elsewhere/evaluation.json").read_text())
    assert result == {key: value for key, value in said.items() if key != "files"}
    assert "Forgetting “cat”, on held-out wordings" in again.stdout and "elsewhere/evaluation.html" in again.stdout
    assert len(Path("elsewhere/evaluation.html").read_text()) < len(page.read_text())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["./nowhere"], "model: './nowhere' is not there"),
        (["zoo", "--against", "./nowhere"], "--against: './nowhere' is not there"),
        (["models:/zoo"], "write models:/NAME@ALIAS or models:/NAME/VERSION"),
        (["zoo", "--target", "cat"], "write KIND:NAME"),
        (["zoo", "--target", "object:unicorn"], "the model draws no object called 'unicorn'"),
        (["zoo", "--prompts", "no.yaml"], "no.yaml"),
        (["zoo", "--out", "file/there"], "name a folder"),
    ],
)
def test_mistakes_are_one_line(options: list[str], message: str) -> None:
    Path("file").write_text("")
    result = expunge("evaluate", *options)
    assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1
    assert not Path(".expunge/evaluations").exists()
