"""``expunge doctor``."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from expunge.cli import doctor as command
from expunge.cli import main


def doctor(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["doctor", *words])
    return done.exit_code, done.output


@pytest.fixture
def config(tmp_path: Path, tiny_folder: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    parameters = {
        "base_model": str(tiny_folder),
        "unlearning": {"trained": {"what": "lora"}, "forget_batch_size": 2},
        "drawing": {"batch_size": 2},
        "hardware": {"device": "cpu"},
    }
    path.write_text(yaml.safe_dump({"parameters": parameters}))
    return path


def test_it_says_phase_by_phase_what_a_configuration_takes(config: Path) -> None:
    code, said = doctor("--config", str(config))
    assert code == 0 and "retain gradient" in said and "Fits: " in said and "GiB" in said
    assert "On top of a champion a run has the first model's denoiser beside all of these: " in said


def test_it_says_it_to_machines(config: Path, tiny_folder: Path) -> None:
    code, said = doctor("--config", str(config), "--json")
    found = json.loads(said)
    assert code == 0 and found["fits"] is True and found["peak"] == max(found["phases"].values())
    assert found["trained"] < found["denoiser"] < found["peak"] < found["available"]


def test_what_does_not_fit_gets_remedies(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_available", lambda device: 1000)
    code, said = doctor("--config", str(config))
    assert code == 0 and "Does not fit" in said and "gradient_checkpointing: true" in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("parameters: [", "is no YAML"),
        ("steps: {}", "has no 'parameters'"),
        ("parameters: {drawing: {batch_size: 0}}", "config: drawing.batch_size: "),
        ("parameters: {hardware: {sharded: true}}", "config: hardware: .*sharded"),
        ("parameters: {base_model: nowhere}", "model: 'nowhere' is no diffusers folder"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    done = CliRunner().invoke(main, ["doctor", "--config", str(tmp_path / "bad.yaml")])
    assert done.exit_code == 2
    import re

    assert re.search(told, done.output + (done.stderr or "")), done.output
