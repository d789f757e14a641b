"""Whatever the tracking store answers becomes one line that names it and the remedy, without a password."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from mlflow import MlflowClient

from expunge.errors import ExpungeError
from expunge.release.registry import Evidence, Registry
from expunge.release.store_errors import answering, shown
from expunge.release.tracking import TrainingLog, default_tracking_uri, open_store
from tests.tiny import make_tiny_pipeline


@pytest.fixture(scope="module")
def tiny_pipeline_folder(tmp_path_factory) -> Path:
    return make_tiny_pipeline(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_pipeline_folder) -> Path:
    """A folder with one registered version in ``.expunge``; making the tables takes seconds."""
    home = tmp_path_factory.mktemp("home")
    registry = Registry(f"sqlite:///{home}/.expunge/mlflow.db")
    (home / "report.html").write_text("<p>numbers</p>", encoding="utf-8")
    registry.register(tiny_pipeline_folder, "a" * 64, Evidence("run", files={"report": home / "report.html"}))
    return home


@pytest.fixture
def home(made, tmp_path, monkeypatch) -> Path:
    """A copy of it, as working directory."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(made / ".expunge", tmp_path / "first" / ".expunge")
    monkeypatch.chdir(tmp_path / "first")
    return tmp_path / "first"


def one_line(error: pytest.ExceptionInfo, *words: str) -> str:
    said = str(error.value)
    assert len(said.splitlines()) == 1 and said.startswith("tracking store ") and len(said) < 1000
    assert all(word in said for word in words), said
    assert error.value.__suppress_context__  # a chained traceback would show the address again
    return said


@pytest.mark.parametrize("rename", ["moved", "we#1", "q?x", "a%41b", "a b", "ünï", "s%23?#"])
def test_a_store_keeps_everything_inside_its_folder_wherever_that_is_moved(
    home, rename, tiny_pipeline_folder, monkeypatch
):
    there = home.parent / rename
    home.rename(there)
    monkeypatch.chdir(there)
    registry = Registry()
    assert registry.folder(1).is_relative_to(there) and (registry.folder(1) / "model_index.json").is_file()
    assert registry.latest_report().read_text(encoding="utf-8") == "<p>numbers</p>"
    second = registry.register(tiny_pipeline_folder, "b" * 64, Evidence("run"))
    assert registry.folder(second.version).is_relative_to(there)
    with TrainingLog("unlearn") as log:
        log.log(0, {"loss": 1.0})
        log.artifact(registry.folder(1) / "model_index.json")
    run = MlflowClient(default_tracking_uri()).get_run(log.run_id)
    assert Path(unquote(urlparse(run.info.artifact_uri).path)).is_relative_to(there)
    assert sorted(each.name for each in home.parent.iterdir()) == [rename]
    assert sorted(each.name for each in there.iterdir()) == [".expunge"]


def test_a_copy_reads_and_writes_its_own_files(home, tmp_path, monkeypatch):
    shutil.copytree(home, tmp_path / "copy")
    for folder in (tmp_path / "copy", home):
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # MLflow sets it when a store is opened
        monkeypatch.chdir(folder)
        assert Registry().folder(1).is_relative_to(folder)


def test_two_folders_whose_names_begin_alike_have_a_store_each(tmp_path, monkeypatch):
    addresses = set()
    for name in ("q?a", "q?b"):
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # MLflow sets it when a store is opened
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        addresses.add(default_tracking_uri())
        Registry()
        assert (tmp_path / name / ".expunge" / "mlflow.db").is_file()
    assert len(addresses) == 2 and sorted(each.name for each in tmp_path.iterdir()) == ["q?a", "q?b"]


def test_artifacts_kept_elsewhere_on_purpose_stay_there(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    MlflowClient(uri).create_experiment("expunge", artifact_location=(tmp_path / "elsewhere").as_uri())
    client, experiment = open_store(uri)
    assert client.get_experiment(experiment).artifact_location == (tmp_path / "elsewhere").as_uri()


def test_files_that_are_gone_are_named(home):
    registry = Registry()
    shutil.rmtree(home / ".expunge" / "mlartifacts")
    with pytest.raises(ExpungeError) as caught:
        registry.folder(1)
    one_line(caught, "/MLmodel", "put them back")
    assert registry.latest_report() is None


def test_a_damaged_database_is_named(home):
    (home / ".expunge" / "mlflow.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(ExpungeError) as caught:
        Registry()
    one_line(caught, "mlflow.db", "file is not a database", "move it away")


def test_a_locked_database_is_named(home):
    registry = Registry()
    connection = sqlite3.connect(home / ".expunge" / "mlflow.db")
    connection.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(ExpungeError) as caught:
            registry.champion()
    finally:
        connection.close()
    one_line(caught, "database is locked", "Another process is writing")
    assert registry.get(1).version == 1


@pytest.mark.parametrize("state", ["file", "folder"])
def test_a_state_folder_that_cannot_be_is_named(tmp_path, monkeypatch, state):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    if state == "file":
        (tmp_path / ".expunge").write_text("", encoding="utf-8")
    else:
        (tmp_path / ".expunge" / "mlflow.db").mkdir(parents=True)
    with pytest.raises(ExpungeError) as caught:
        Registry()
    one_line(caught, ".expunge")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("mysql://someone:hidden-word@localhost:1/x", ("No module named 'MySQLdb'", "driver")),
        ("mssql://someone:hidden%20word@localhost:1/x", ("driver",)),
        ("foo://someone:hidden-word@localhost/x", ("unsupported URI 'foo://localhost/x'",)),
        ("localhost:5000", ("localhost:5000", "MLFLOW_TRACKING_URI")),
        ("postgresql+nothing://someone:hidden-word@localhost/x?password=hidden-word", ("postgresql",)),
        ("http://[broken", ("MLFLOW_TRACKING_URI",)),
    ],
)
def test_addresses_that_lead_nowhere_are_one_line_without_the_password(uri, words):
    with pytest.raises(ExpungeError) as caught:
        Registry(uri)
    assert "hidden" not in one_line(caught, *words)


def test_what_is_no_version_number_is_not_there(home):
    for version in ("99999999999999999999", 2**63, str(2**31), "0", "", "a/b", "x" * 300, "²"):
        with pytest.raises(ExpungeError, match="has no version .* It has 1, challenger"):
            Registry().get(version)


def test_a_password_is_taken_out_wherever_it_is_said():
    uri = "postgresql://someone:open%20sesame@host/x"
    with pytest.raises(ExpungeError) as caught, answering(uri):
        raise OSError(f"cannot reach {uri}, user someone:open%20sesame, password 'open sesame'")
    assert "sesame" not in str(caught.value) and shown(uri) == "postgresql://host/x"


def test_other_errors_are_left_alone():
    with pytest.raises(ZeroDivisionError), answering("sqlite:///x"):
        1 / 0  # noqa: B018


def test_a_log_that_cannot_be_ended_does_not_hide_what_ended_it(home):
    with pytest.raises(RuntimeError, match="power cut") as caught, TrainingLog("unlearn") as log:
        log.log(0, {"loss": 1.0})
        (home / ".expunge" / "mlflow.db").write_bytes(b"garbage" * 1000)
        raise RuntimeError("power cut")
    assert any("not a database" in note or "malformed" in note for note in caught.value.__notes__)


def test_an_unknown_user_without_a_home_gets_an_answer(tmp_path):
    script = """
import pwd

def unknown(uid):
    raise KeyError(uid)

pwd.getpwuid = unknown
from expunge.cli.app import main
main(["champion"])
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "MLFLOW_TRACKING_URI")}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    assert "No version of expunge-zoo" in done.stdout
