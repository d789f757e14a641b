"""The registry on a real MLflow store: a SQLite file, and a server in the slow tier."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from diffusers import StableDiffusionPipeline
from mlflow import MlflowClient
from PIL import Image

from expunge.errors import ExpungeError
from expunge.release import tracking
from expunge.release.registry import Evidence, ModelVersion, Registry, TrainingLog
from expunge.release.stored_version import as_input
from expunge.release.tracking import FLUSH_VALUES, default_tracking_uri, log_datasets, open_store
from infra.tracking_server import tracking_server
from tests.tiny import make_tiny_pipeline


@pytest.fixture(scope="module")
def tiny_pipeline_folder(tmp_path_factory) -> Path:
    return make_tiny_pipeline(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> str:
    """One SQLite store for the module, as making its tables takes seconds; each test has its own model."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture
def registry(store) -> Registry:
    return Registry(store, name=f"model-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def add(registry, tiny_pipeline_folder):
    """Register the tiny model under a digest of one repeated letter."""

    def add(letter: str, **given) -> ModelVersion:
        folder = given.pop("folder", tiny_pipeline_folder)
        return registry.register(folder, letter * 64, Evidence(given.pop("run_name", "run"), **given))

    return add


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png), formats=["PNG"]))


def test_a_new_version_is_challenger_and_holds_its_facts(registry, add, store, tmp_path):
    report = tmp_path / "report.html"
    report.write_text("<p>numbers</p>", encoding="utf-8")
    made = add("a", tags={"base": "zoo"}, metrics={"ua": 0.97}, files={"report": report}, run_name="noto")
    assert (made.version, made.aliases, made.digest) == (1, ("challenger",), "a" * 64)
    assert made.tags["base"] == "zoo"
    assert made.requests == () and made.made_from is None
    assert registry.read(1, "report/report.html") == "<p>numbers</p>"
    run = MlflowClient(store).get_run(made.run_id)
    assert (run.info.status, run.info.run_name, run.data.metrics) == ("FINISHED", "noto", {"ua": 0.97})
    copied = mlflow.artifacts.download_artifacts(f"runs:/{made.run_id}/report/report.html", tracking_uri=store)
    assert Path(copied).read_text(encoding="utf-8") == "<p>numbers</p>"
    assert registry.history() == [made]


def test_the_same_digest_is_one_version(registry, add):
    first, other = add("a"), add("b")
    again = add("a", run_name="again")
    assert (first.version, other.version, again.version) == (1, 2, 1)
    assert again.aliases == ("challenger",)
    assert registry.get(2).aliases == ()


def test_registered_again_a_version_shows_the_new_evidence_and_keeps_the_old(registry, add, store, tmp_path):
    """The gate failed, the run was repeated with other thresholds: the version is not to be tagged with the first."""
    (tmp_path / "gate.json").write_text("no", encoding="utf-8")
    first = add("a", tags={"gate_passed": "false", "asked": "cat"}, metrics={"ua": 0.5}, files={"evidence": tmp_path})
    (tmp_path / "gate.json").write_text("yes", encoding="utf-8")
    again = add("a", tags={"gate_passed": "true"}, metrics={"ua": 0.9}, files={"evidence": tmp_path})
    assert again.tags["gate_passed"] == "true" and "asked" not in again.tags
    assert again.run_id != first.run_id and again.earlier_runs == (first.run_id,)
    kept = [MlflowClient(store).get_run(run).data.metrics["ua"] for run in (first.run_id, again.run_id)]
    assert kept == [0.5, 0.9]
    copied = [
        mlflow.artifacts.download_artifacts(f"runs:/{run}/evidence/gate.json", tracking_uri=store)
        for run in (first.run_id, again.run_id)
    ]
    assert [Path(each).read_text(encoding="utf-8") for each in copied] == ["no", "yes"]
    third = add("a", tags={"gate_passed": "true"})
    assert third.earlier_runs == (first.run_id, again.run_id) and registry.get(1) == third == registry.history()[0]
    registry.call_champion(1, None)
    assert registry.champion().tags["gate_passed"] == "true"


def test_what_is_attached_and_reported_is_the_new_evidence(registry, add, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for words in ("first", "second"):
        (tmp_path / "report.html").write_text(words, encoding="utf-8")
        add("a")
        registry.attach(1, {"report": tmp_path / "report.html"})
    assert registry.latest_report().read_text(encoding="utf-8") == "second"


def test_a_champion_registered_again_stays_champion_alone(registry, add):
    registry.call_champion(add("a").version, None)
    assert add("a").aliases == ("champion",)


def test_aliases_are_set_once_and_mended(registry, add):
    for letter in "abc":
        add(letter)
    registry.call_champion(2, 1)
    assert [each.aliases for each in registry.history()] == [("challenger",), ("champion",), ("former-champion",)]
    registry.call_champion(3, 2)
    registry.call_champion(3, 2)
    assert [each.aliases for each in registry.history()] == [("champion",), ("former-champion",), ()]
    registry.call_champion(1, None)
    assert [each.aliases for each in registry.history()] == [(), (), ("champion",)]


def test_a_version_says_what_it_was_made_for_and_from(registry, add):
    made = add("a", tags={"requests": "style-noto, object-cat", "base_version": "7"})
    assert made.requests == ("style-noto", "object-cat") and made.made_from == 7
    with pytest.raises(ExpungeError, match="none.json"):
        registry.read(1, "evidence/none.json")


def test_the_folder_is_a_stock_diffusers_folder(registry, add, tiny_pipeline_folder):
    add("a")
    folder = registry.folder("challenger")
    assert isinstance(StableDiffusionPipeline.from_pretrained(folder), StableDiffusionPipeline)
    stored = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    given = {
        p.relative_to(tiny_pipeline_folder): p.read_bytes() for p in tiny_pipeline_folder.rglob("*") if p.is_file()
    }
    assert stored == given


def test_attached_files_lie_in_the_versions_run(registry, add, store, tmp_path):
    add("a")
    (tmp_path / "certificate.json").write_text("{}", encoding="utf-8")
    registry.attach(1, {"certificates": tmp_path})
    run_id = registry.get(1).run_id
    assert [each.path for each in MlflowClient(store).list_artifacts(run_id, "certificates")] == [
        "certificates/certificate.json"
    ]
    with pytest.raises(ExpungeError, match=r"report: there is no file or folder .*missing\.html"):
        registry.attach(1, {"report": tmp_path / "missing.html"})


def test_mlflow_draws_pictures_from_prompts(registry, add):
    registry.call_champion(add("a").version, None)
    model = mlflow.pyfunc.load_model(f"models:/{registry.name}@champion")
    options = {"steps": 2, "guidance": 2.0}
    one, two = model.predict(["a cat in noto style", "a dog"], params=options | {"seed": 7})
    assert pixels(one).shape == (32, 32, 3)
    assert not np.array_equal(pixels(one), pixels(two))
    # Picture i is seeded by seed + i, so it can be drawn alone.
    (alone,) = model.predict(pd.DataFrame({"prompt": ["a dog"]}), params=options | {"seed": 8})
    assert np.abs(pixels(alone).astype(int) - pixels(two)).max() <= 1
    (another,) = model.predict(["a dog"], params=options | {"seed": 9})
    assert not np.array_equal(pixels(alone), pixels(another))


def test_a_version_holds_no_pickle(registry, add):
    add("a")
    whole = Path(mlflow.artifacts.download_artifacts(f"models:/{registry.name}/1"))
    suffixes = {path.suffix for path in whole.rglob("*") if path.is_file()}
    assert suffixes <= {"", ".json", ".txt", ".yaml", ".py", ".safetensors"}


@pytest.mark.slow
def test_a_version_loads_where_there_is_no_expunge(registry, add, store, tmp_path):
    add("a")
    script = f"""
import sys
sys.modules["expunge"] = None  # importing it now raises
import mlflow
mlflow.set_tracking_uri({store!r})
print(mlflow.pyfunc.load_model("models:/{registry.name}/1").predict(["a cat"], params={{"steps": 1}})[0][:4])
"""
    drawn = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert drawn.stdout.strip() == r"b'\x89PNG'", drawn.stderr


def test_what_cannot_be_registered_is_refused(registry, add, tiny_pipeline_folder, tmp_path):
    with pytest.raises(ExpungeError, match="no diffusers folder"):
        add("a", folder=tmp_path)
    with pytest.raises(ExpungeError, match="tags: digest cannot be given"):
        add("a", tags={"digest": "b" * 64})
    with pytest.raises(ExpungeError, match="report: there is no file"):
        add("a", files={"report": tmp_path / "none.html"})
    with pytest.raises(ExpungeError, match="digest: \"x' or '1\" is none"):
        registry.register(tiny_pipeline_folder, "x' or '1", Evidence("run"))
    (tmp_path / "model_index.json").write_text("{}", encoding="utf-8")
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "weights.bin").write_bytes(b"")
    with pytest.raises(ExpungeError, match=r"holds unet/weights\.bin, which can run code"):
        add("a", folder=tmp_path)
    assert registry.history() == []


def test_an_unknown_version_lists_the_known_ones(registry, add):
    with pytest.raises(ExpungeError, match=re.escape(f"{registry.name} has no version 'champion'. It has none.")):
        registry.get("champion")
    add("a")
    with pytest.raises(ExpungeError, match="has no version '7'. It has 1, challenger."):
        registry.get(7)


def test_a_training_log_holds_settings_curves_and_files(store, tmp_path):
    (tmp_path / "trace.json").write_text("[]", encoding="utf-8")
    steps = FLUSH_VALUES + 10  # more values than are sent at once
    with TrainingLog("unlearn", {"rate": 1e-4}, {"request": "r1"}, tracking_uri=store) as log:
        for step in range(steps):
            log.log(step, {"forget_loss": 1 / (step + 1), "cosine": -0.5})
        log.artifact(tmp_path / "trace.json")
    client = MlflowClient(store)
    run = client.get_run(log.run_id)
    assert (run.info.run_name, run.info.status, run.data.params) == (
        "unlearn",
        "FINISHED",
        {"rate": "0.0001"},
    )
    curve = client.get_metric_history(log.run_id, "forget_loss")
    assert [(each.step, each.value) for each in curve] == [(step, 1 / (step + 1)) for step in range(steps)]
    assert [each.path for each in client.list_artifacts(log.run_id)] == ["trace.json"]


def test_a_training_log_that_fails_says_so_and_can_be_gone_on_with(store):
    with pytest.raises(RuntimeError, match="power cut"), TrainingLog("unlearn", tracking_uri=store) as log:
        log.log(0, {"loss": 1.0})
        raise RuntimeError("power cut")
    client = MlflowClient(store)
    assert client.get_run(log.run_id).info.status == "FAILED"
    with TrainingLog("unlearn", tracking_uri=store, run_id=log.run_id) as rest:
        rest.log(1, {"loss": 0.5})
    assert client.get_run(log.run_id).info.status == "FINISHED"
    assert [each.value for each in client.get_metric_history(log.run_id, "loss")] == [1.0, 0.5]


def test_the_run_of_a_killed_process_is_ended_with_a_reason(registry, store):
    script = f"""
import os, signal
from expunge.release.registry import TrainingLog
with TrainingLog("unlearn", tracking_uri={store!r}) as log:
    print(log.run_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    run_id = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip()
    client = MlflowClient(store)
    assert client.get_run(run_id).info.status == "RUNNING"
    with TrainingLog("another", tracking_uri=store) as alive:
        assert registry.end_dead_runs() == [run_id]
        assert client.get_run(alive.run_id).info.status == "RUNNING"
    run = client.get_run(run_id)
    assert run.info.status == "KILLED" and run.data.tags["expunge.ended"] == "its process was gone"


def test_runs_that_name_the_same_data_in_the_same_moment_are_none_refused(registry, store):
    client, experiment = open_store(store)
    for number in range(4):
        runs = [client.create_run(experiment).info.run_id for _ in range(6)]
        data, together = [as_input("held-out", f"{number}" * 36)], threading.Barrier(len(runs))

        def name_it(run_id: str, data=data, together=together) -> None:
            own = MlflowClient(store)
            together.wait(30)
            log_datasets(own, run_id, data)

        with ThreadPoolExecutor(len(runs)) as pool:
            list(pool.map(name_it, runs))
        named = [client.get_run(each).inputs.dataset_inputs[0].dataset.name for each in runs]
        assert named == ["held-out"] * len(runs)


def test_aliases_that_change_in_the_same_moment_are_none_refused(registry, add, store):
    first, second = add("y").version, add("z").version
    for _ in range(10):
        together = threading.Barrier(6)

        def call(number: int, together=together) -> None:
            own = Registry(name=registry.name, tracking_uri=store)
            together.wait(30)
            if number % 2:
                own.call_champion(first, None)
            else:
                own.call_champion(second, first)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(call, range(6)))
        assert registry.champion().version in (first, second)


@pytest.mark.slow
def test_a_server_that_goes_away_ends_no_training_and_gets_all_when_it_is_back(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name in ("FLUSH_SECONDS", "RETRY_SECONDS"):
        monkeypatch.setattr(tracking, name, 0.0)
    port = free_port()
    with tracking_server(tmp_path / "server", str(tmp_path / "files"), port) as uri:
        log = TrainingLog("unlearn", tracking_uri=uri).__enter__()
        log.log(0, {"loss": 3.0})
    log.log(1, {"loss": 2.0})
    log.log(2, {"loss": 1.5})
    assert capsys.readouterr().out.count("Training goes on; its curves wait until the store answers.") == 1
    with tracking_server(tmp_path / "server", str(tmp_path / "files"), port) as uri:
        log.log(3, {"loss": 1.0})
        curve = MlflowClient(uri).get_metric_history(log.run_id, "loss")
        assert [each.value for each in curve] == [3.0, 2.0, 1.5, 1.0]
    log.log(4, {"loss": 0.5})
    log.__exit__(None, None, None)
    kept = tmp_path / f".expunge/unsent/{log.run_id}.json"
    assert f"is in .expunge/unsent/{log.run_id}.json" in capsys.readouterr().out
    assert [each["value"] for each in json.loads(kept.read_text(encoding="utf-8"))] == [0.5]


def test_a_training_log_can_be_part_of_another(store):
    with TrainingLog("whole", tracking_uri=store) as whole:
        part = TrainingLog("part", tracking_uri=store, parent_run_id=whole.run_id)
        with part:
            part.log(0, {"loss": 1.0})
    assert MlflowClient(store).get_run(part.run_id).data.tags["mlflow.parentRunId"] == whole.run_id


def test_the_store_is_the_environments_or_a_file_under_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert default_tracking_uri() == f"sqlite:///{tmp_path}/.expunge/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert default_tracking_uri() == "http://127.0.0.1:1"


def test_artifacts_lie_beside_a_sqlite_store(store):
    client, experiment = open_store(store)
    folder = Path(store.removeprefix("sqlite:///")).parent / "mlartifacts"
    assert client.get_experiment(experiment).artifact_location == folder.as_uri()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_a_server_that_is_not_there_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    port = free_port()
    with pytest.raises(ExpungeError, match="MLFLOW_TRACKING_URI") as caught:
        Registry(f"http://someone:secret@127.0.0.1:{port}")
    assert str(caught.value).startswith(f"tracking store http://127.0.0.1:{port}: ")
    assert "secret" not in str(caught.value)


@pytest.fixture
def server(tmp_path):
    """A real MLflow server on a SQLite store, with its artifacts behind it."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    command += ["--artifacts-destination", str(tmp_path / "server-files"), "--serve-artifacts"]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while not answers(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "server.log").read_text(
                encoding="utf-8"
            )
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return reply.status == 200
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


@pytest.mark.slow
def test_everything_works_through_a_server(server, tiny_pipeline_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    registry = Registry(server)
    with TrainingLog("unlearn", tracking_uri=server) as log:
        log.log(0, {"loss": 1.0})
    (tmp_path / "report.html").write_text("<p>numbers</p>", encoding="utf-8")
    evidence = Evidence("run", {"training_run": log.run_id}, {"ua": 0.97}, {"report": tmp_path / "report.html"})
    first = registry.register(tiny_pipeline_folder, "a" * 64, evidence)
    assert registry.register(tiny_pipeline_folder, "a" * 64, evidence).version == first.version
    registry.call_champion(first.version, None)
    registry.call_champion(registry.register(tiny_pipeline_folder, "b" * 64, evidence).version, first.version)
    assert [each.aliases for each in registry.history()] == [("champion",), ("former-champion",)]
    folder = registry.folder("champion")
    assert folder.is_relative_to(tmp_path / ".expunge" / "models")
    made_at = folder.stat().st_mtime_ns
    assert registry.folder("champion").stat().st_mtime_ns == made_at  # fetched once
    assert isinstance(StableDiffusionPipeline.from_pretrained(folder), StableDiffusionPipeline)
    (png,) = mlflow.pyfunc.load_model("models:/expunge-zoo@champion").predict(["a cat"], params={"steps": 1})
    assert pixels(png).shape == (32, 32, 3)
