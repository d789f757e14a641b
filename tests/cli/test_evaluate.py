"""``expunge evaluate`` on two tiny models, with prompts and a judge of their size."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from expunge.cli import main
from expunge.comeback import comeback_settings
from expunge.evaluation import evaluation_settings
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.pictures.drawing import DrawingSettings
from tests.comeback.conftest import SMALL
from tests.steps.test_entrypoints import WORLD
from tests.steps.test_evaluation import SIZES
from tests.tiny import make_tiny_pipeline
from tests.tiny_clip import make_tiny_clip


def expunge(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


CONTEXT = 96  # tokens; words are spelt, so that a sentence is long


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_pipeline(tmp_path_factory.mktemp("base"), context=CONTEXT)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_pipeline(tmp_path_factory.mktemp("other"), seed=1, context=CONTEXT)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    small = (EvaluationSettings.model_validate(SIZES), DrawingSettings(steps=2))
    monkeypatch.setitem(evaluation_settings.PROFILES, "quick", small)  # what each command here asks for
    monkeypatch.setitem(comeback_settings.PROFILES, "quick", SMALL)


@pytest.mark.slow
def test_a_folder_against_another_and_again(other: Path, base: Path) -> None:
    Path("world.yaml").write_text(yaml.safe_dump(WORLD, sort_keys=False))
    asked = ["evaluate", str(other), "--against", str(base), "--target", "object:cat"]
    asked += ["--world", "world.yaml", "--judges", f"local-dir:{make_tiny_clip(Path('clip'))}"]
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
    assert result == {key: value for key, value in said.items() if key not in ("files", "comeback")}
    assert said["comeback"] == [] and "comeback" not in said["files"]
    assert "Forgetting “cat”, on held-out wordings" in again.stdout and "elsewhere/evaluation.html" in again.stdout
    assert len(Path("elsewhere/evaluation.html").read_text()) < len(page.read_text())


@pytest.mark.slow
def test_a_target_is_tried_to_be_brought_back(other: Path, base: Path, tmp_path: Path) -> None:
    Path("world.yaml").write_text(yaml.safe_dump(WORLD, sort_keys=False))
    asked = ["evaluate", str(other), "--against", str(base), "--out", "out", "--comeback", "quick"]
    asked += ["--never-saw", str(make_tiny_pipeline(tmp_path / "never", seed=2))]
    asked += ["--target", "object:cat", "--target", "object:horse"]
    asked += ["--world", "world.yaml", "--judges", f"local-dir:{make_tiny_clip(Path('clip'))}"]
    said = expunge(*asked)
    assert said.exit_code == 0, said.stderr
    reports = json.loads(Path("out/comeback.json").read_text())
    assert [each["target"] for each in reports] == ["cat", "horse"]
    page, table = Path("out/evaluation.html").read_text(), Path("out/evaluation.md").read_text()
    for report in reports:
        assert f"## Does “{report['target']}” come back?" in table and "comeback: out/comeback.json" in said.stdout
        heading = f"How often “{report['target']}” is found, by test"
        assert (heading in said.stdout) == (heading in page) == (not report["untested"])
    assert any(not report["untested"] for report in reports)
    assert "--comeback quick --never-saw" in page  # in the command that gives the same again


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["./nowhere"], "model: './nowhere' is not there"),
        (["zoo", "--against", "./nowhere"], "--against: './nowhere' is not there"),
        (["models:/zoo"], "write models:/NAME@ALIAS or models:/NAME/VERSION"),
        (["zoo", "--target", "cat"], "write KIND:NAME"),
        (["zoo", "--target", "object:unicorn"], "the model draws no object called 'unicorn'"),
        (["zoo", "--world", "no.yaml"], "no.yaml"),
        (["zoo", "--out", "file/there"], "name a folder"),
        (["zoo", "--comeback", "quick"], "comeback: 'quick' given, but no target"),
        (["zoo", "--never-saw", "zoo"], "never_saw: 'zoo' given, but comeback is 'none'"),
        (["zoo", "--target", "object:cat", "--comeback", "quick", "--never-saw", "./no"], "--never-saw: './no' is not"),
    ],
)
def test_mistakes_are_one_line(options: list[str], message: str) -> None:
    Path("file").write_text("")
    result = expunge("evaluate", *options)
    assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1
    assert not Path(".expunge/evaluations").exists()
