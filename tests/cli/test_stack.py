"""``expunge stack check``: what is missing is told with a remedy, and nothing of the credentials."""

import json
import logging
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from expunge.cli import main
from tests.conftest import PYTHON_PATH
from tests.infra.conftest import Guarded, guarded  # noqa: F401 (a fixture)
from tests.infra.regional_store import regional_store

PIECES = ["inbox", "tracking store", "login", "registry", "artifact store", "certificate key", "model key", "schedule"]


@pytest.fixture(scope="module")
def zenml_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ZenML keeps a set-up that no test changes; making its database takes seconds."""
    return tmp_path_factory.mktemp("zenml")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, zenml_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("MLFLOW_TRACKING", "EXPUNGE"))]:
        monkeypatch.delenv(name)
    own = {"PYTHONPATH": PYTHON_PATH, "COLUMNS": "400", "XDG_CONFIG_HOME": tmp_path / "config"}
    for name, value in (own | {"ZENML_CONFIG_PATH": zenml_config}).items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("mlflow"), "level", logging.WARNING)  # as in a process of its own


def run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(main, words, env=environment)


def check(*words: str, **environment: str) -> tuple[int, dict[str, dict]]:
    done = run("stack", "check", "--json", *words, **environment)
    assert done.stderr == "", done.stderr
    return understood(done.exit_code, done.stdout)


def understood(code: int, said: str) -> tuple[int, dict[str, dict]]:
    findings = json.loads(said)
    assert [each["what"] for each in findings] == PIECES
    assert all(bool(each["remedy"]) != each["ok"] for each in findings)
    assert code == (0 if all(each["ok"] for each in findings) else 1)
    return code, {each["what"]: each for each in findings}


def missing(findings: dict[str, dict]) -> list[str]:
    return [what for what, each in findings.items() if not each["ok"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "config: there is no file config.yaml."),
        ("a: [", "config: config.yaml is no YAML: "),
        ("!!python/object/apply:os.system ['touch made']", "config: config.yaml is no YAML: "),
        ("enable_cache: true", "config: config.yaml has no 'parameters'"),
        ("parameters: {registered_model: 'a/b'}", "registered_model: 'a/b' given; "),
    ],
)
def test_a_config_that_is_none_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    done = run("stack", "check", "--config", "config.yaml")
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr.startswith(f"Error: {said}") and done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir() if path.name != "config.yaml"] == []


@pytest.mark.slow
def test_folders_need_a_schedule_alone() -> None:
    command = [sys.executable, "-m", "expunge.cli", "stack", "check", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == ""
    _, findings = understood(done.returncode, done.stdout)
    assert missing(findings) == ["schedule"]
    assert findings["schedule"]["remedy"] == "expunge schedule install --cron '0 3 * * *'"
    assert findings["inbox"]["found"] == ".expunge/inbox takes objects, each once"
    again = run("takedown", "list", "--json")
    assert json.loads(again.stdout) == []  # the probe is no request


@pytest.mark.slow
def test_every_piece_that_is_broken_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").touch()
    key = tmp_path / "key.pem"
    key.touch(0o644)
    given = {"MLFLOW_TRACKING_URI": "http://someone:hidden-word@127.0.0.1:9", "EXPUNGE_INBOX": "in"}
    keys = {"EXPUNGE_SIGNING_KEY": str(key), "EXPUNGE_MODEL_SIGNING_KEY": str(tmp_path / "none.pem")}
    _, findings = check(**given, **keys)
    assert missing(findings) == [piece for piece in PIECES if piece != "artifact store"]
    assert "127.0.0.1:9 does not answer" in findings["tracking store"]["found"]
    assert findings["login"]["found"] == "not asked"
    assert "others may read" in findings["certificate key"]["found"]
    assert "there is no file" in findings["model key"]["found"]
    done = run("stack", "check", **given)
    assert "hidden" not in json.dumps(findings) + done.stdout + done.stderr
    assert done.exit_code == 1 and "missing" in done.stdout


@pytest.mark.slow
def test_an_artifact_store_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENML_CONFIG_PATH", str(tmp_path / "zenml"))
    command = [sys.executable, "-m", "infra.s3_stack", "--path", "s3://no-such-bucket"]
    environment = os.environ | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    made = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert made.returncode == 0, made.stderr
    _, findings = check(AWS_ACCESS_KEY_ID="tester", AWS_SECRET_ACCESS_KEY="hidden-word")
    assert missing(findings) == ["artifact store", "schedule"]
    assert findings["artifact store"]["found"].startswith("s3://no-such-bucket: ")
    assert "hidden" not in json.dumps(findings)


@pytest.mark.slow
def test_an_inbox_in_a_bucket(s3_server: str) -> None:
    _, findings = check(EXPUNGE_INBOX="s3://expunge/checked")
    assert findings["inbox"]["ok"]
    _, findings = check(EXPUNGE_INBOX="s3://expunge/checked", AWS_SECRET_ACCESS_KEY="wrong-hidden")
    assert not findings["inbox"]["ok"] and "hidden" not in json.dumps(findings)


@pytest.mark.slow
@pytest.mark.parametrize("refusal", [301, 400])
def test_a_bucket_in_another_region(s3_server: str, refusal: int) -> None:
    with regional_store(s3_server, "eu-central-1", refusal) as url:
        inbox = {"EXPUNGE_INBOX": "s3://expunge/regional", "AWS_ENDPOINT_URL": url}
        _, findings = check(**inbox)
        said = "s3://expunge/regional lies in region eu-central-1, and requests are made for us-east-1"
        assert findings["inbox"]["found"] == said
        assert findings["inbox"]["remedy"].startswith("set AWS_DEFAULT_REGION=eu-central-1")
        _, findings = check(**inbox, AWS_DEFAULT_REGION="eu-central-1")
        assert findings["inbox"]["ok"]


@pytest.mark.slow
@pytest.mark.parametrize("hours", [1, -1])
def test_an_object_store_whose_clock_is_an_hour_off(s3_server: str, hours: int) -> None:
    with regional_store(s3_server, "us-east-1", skew=timedelta(hours=hours)) as url:
        _, findings = check(EXPUNGE_INBOX="s3://expunge/skewed", AWS_ENDPOINT_URL=url)
    assert findings["inbox"]["found"] == "the object store's clock and this one differ by 60 minutes"
    assert "NTP" in findings["inbox"]["remedy"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("systemctl") is None, reason="no systemd; on Debian or Ubuntu: apt install systemd")
def test_all_is_well_with_servers_and_a_schedule(guarded: Guarded, tmp_path: Path) -> None:  # noqa: F811
    runner = guarded.account("runner")
    install = ["schedule", "install", "--systemd", "--cron", "0 3 * * *", "--env-file", str(runner)]
    assert run(*install).exit_code == 0
    account = {name: value for name, value in guarded.environment("runner").items() if name.startswith("MLFLOW_TRACK")}
    (tmp_path / "config.yaml").write_text("parameters: {inbox: in, registered_model: mine}\n")
    code, findings = check("--config", "config.yaml", **account)
    assert code == 0, findings
    assert (tmp_path / "in").is_dir() and findings["registry"]["found"] == "mine has no version yet"
    assert findings["schedule"]["found"].startswith("retrain: next ")
    _, findings = check(MLFLOW_TRACKING_URI=guarded.url)
    assert missing(findings) == ["login", "registry"] and "MLFLOW_TRACKING_PASSWORD" in findings["login"]["remedy"]
    _, findings = check(**account | {"MLFLOW_TRACKING_PASSWORD": "hidden-word"})
    assert findings["login"]["found"].endswith("does not know this name and password")
    assert "hidden" not in json.dumps(findings)
