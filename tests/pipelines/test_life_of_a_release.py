"""The main job on tiny models: failing, overtaken, waiting for a person, finished after an error; by a schedule too."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from zenml.client import Client
from zenml.enums import RunWaitConditionResolution
from zenml.models import RunWaitConditionFilter, RunWaitConditionResolveRequest

from expunge.cli import main
from expunge.models.text_to_image import TextToImage
from expunge.release.certificate import load_certificate
from expunge.release.promotion import promote
from expunge.release.registry import Registry
from expunge.release.settling import Settling
from expunge.release.statement_of_reasons import statement_of_reasons
from expunge.reports.certificate_page import render_certificate
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from tests.conftest import PYTHON_PATH
from tests.release.made_versions import findings_for, registered
from tests.steps.test_entrypoints import EASY, STRICT
from tests.tiny_job import main_job

pytestmark = pytest.mark.slow
NAME = "expunge-zoo"


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zenml_home: Path, tiny_folder: Path) -> dict[str, Any]:
    """A workplace, and the parameters of the main job there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/.expunge/mlflow.db")
    monkeypatch.setenv("COLUMNS", "200")
    return main_job(tmp_path, tiny_folder)


@pytest.fixture
def box(job) -> Inbox:
    return Inbox(open_store(".expunge/inbox"))


def run(job: dict[str, Any], **changed: Any) -> Any:
    from pipelines.unlearn_pipeline import unlearn_pipeline

    return unlearn_pipeline(**(job | changed))


def test_a_run_that_is_overtaken_goes_round_again(job, box: Inbox, tiny_model: TextToImage, monkeypatch) -> None:
    cat = box.file(kind="object", target="cat").request.id
    real, overtaken = Settling.settle, []

    def first_somebody_else(settling: Settling, *given: Any, **named: Any) -> Any:
        if not overtaken:
            other = registered(tiny_model, findings_for(()), NAME)
            decision = settling.findings.decision
            overtaken.append(promote(box.champions, Registry(), other, decision, "another run").version)
        return real(settling, *given, **named)

    monkeypatch.setattr(Settling, "settle", first_somebody_else)
    done = run(job)

    assert str(done.status) == "completed" and box.state(cat).label == "fulfilled"
    champion = Registry().champion()
    assert champion.made_from == overtaken[0] and champion.requests == (cat,)
    assert [each.version for each in box.champions.entries()] == [overtaken[0], champion.version]
    assert len([name for name in done.steps if name.startswith("unlearn")]) == 2


def test_an_error_after_registering_costs_no_second_unlearning(job, box: Inbox, monkeypatch) -> None:
    cat = box.file(kind="object", target="cat").request.id
    with monkeypatch.context() as broken:

        def out_of_order(*given: Any, **named: Any) -> None:
            raise OSError(28, "No space left on device")

        broken.setattr("expunge.release.settling.promote", out_of_order)
        with pytest.raises(Exception, match="No space left on device"):
            run(job)
    assert box.state(cat).label == "pending" and Registry().champion() is None
    again = run(job)
    assert list(again.steps) == ["collect_takedowns", "finish_takedowns", "purge_forbidden"]
    assert box.state(cat).label == "fulfilled" and Registry().champion().version == 1


def test_what_fails_the_gate_is_not_promoted_and_finished_work_is_not_repeated(job, box: Inbox) -> None:
    dog = box.file(kind="object", target="dog").request.id
    kept = {"forbidden": "when fulfilled"}  # by default its pictures would be gone, and drawn anew
    failed = run(job, gate=STRICT.model_dump(), retention=kept)
    assert box.state(dog).label == "failed" and "samples" in box.state(dog).reason
    assert Registry().champion() is None
    assert [version.aliases for version in Registry().history()] == [("challenger",)]
    assert not failed.steps["gate"].outputs["gate_decision"][0].load().passed

    box.retry(dog)
    repeated = {name: str(step.status) for name, step in run(job).steps.items()}
    for name in ("draw_pool", "diversify_datasets", "cache_gradients", "unlearn", "evaluate"):
        assert repeated[name] == "cached", repeated
    assert box.state(dog).label == "fulfilled"
    assert [version.aliases for version in Registry().history()] == [("champion",)]


def test_a_run_that_ends_in_an_error_gives_its_requests_back(job, box: Inbox) -> None:
    cat = box.file(kind="object", target="cat").request.id
    with pytest.raises(Exception, match="base_model: './nowhere' is not there"):
        run(job, base_model="./nowhere")
    assert box.state(cat).label == "pending"


def test_what_passed_waits_for_a_person_who_approves_it(job, box: Inbox) -> None:
    cat = box.file(kind="object", target="cat").request.id
    run(job, gate=EASY.model_copy(update={"approval": "required"}).model_dump())
    assert box.state(cat).label == "waiting" and Registry().champion() is None
    refused = CliRunner().invoke(main, ["approve", "2", "--reason", "looked at it"])
    assert refused.exit_code == 2 and "version: 2 waits for no approval" in refused.stderr
    approved = CliRunner().invoke(main, ["approve", "1", "--reason", "looked at it", "--name", "a person", "--json"])
    told = json.loads(approved.stdout)
    assert (told["champion"], told["closed"]) == (1, [cat]), approved.stderr
    assert told["purged"]["requests"] == [cat] and told["purged"]["artifact_pictures"] > 0
    assert box.state(cat).label == "fulfilled" and box.champions.current().approval.reason == "looked at it"
    certificate = load_certificate(json.dumps(box.state(cat).certificate))
    assert certificate.approval == box.champions.current().approval
    assert "Approved by a person on" in render_certificate(certificate)
    assert statement_of_reasons(certificate)["automated_decision"] == "AUTOMATED_DECISION_PARTIALLY"


def answer_in_zenml(**said: Any) -> threading.Thread:
    """Answer the next question of a run, as its dashboard does."""

    store, project = Client().zen_store, Client().active_project.id  # a client reads files, which two threads must not

    def answer() -> None:
        while not (
            asked := store.list_run_wait_conditions(RunWaitConditionFilter(project=project, status="pending"))
        ).total:
            time.sleep(0.2)
        word = RunWaitConditionResolveRequest(resolution=RunWaitConditionResolution.CONTINUE, result=said)
        store.resolve_run_wait_condition(asked[0].id, word)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return thread


def test_a_run_can_ask_in_zenml_itself(job, box: Inbox) -> None:
    gate = EASY.model_copy(update={"approval": "required", "approval_wait_minutes": 5.0}).model_dump()
    cat = box.file(kind="object", target="cat").request.id
    answer_in_zenml(approved=False, name="an engineer", reason="it draws a dog")
    assert str(run(job, gate=gate).status) == "completed"
    assert box.state(cat).label == "failed" and Registry().champion() is None
    assert box.state(cat).reason == "an engineer refused version 1: it draws a dog"

    box.retry(cat)
    answer_in_zenml(approved=True, name="an engineer", reason="looked at it")
    run(job, gate=gate)
    assert box.state(cat).label == "fulfilled" and box.champions.current().approval.name == "an engineer"

    dog = box.file(kind="object", target="dog").request.id
    paused = run(job, gate=EASY.model_copy(update={"approval": "required", "approval_wait_minutes": 0.01}).model_dump())
    assert str(paused.status) == "paused" and box.state(dog).label == "waiting"
    refused = CliRunner().invoke(main, ["refuse", "2", "--reason", "not this one", "--name", "an engineer"])
    assert refused.exit_code == 0 and "Refused: version 2" in refused.stdout, refused.stderr
    assert box.state(dog).label == "failed" and box.champions.current().version == 1


def test_a_schedule_runs_what_is_pending_and_what_failed_in_company_alone(job, zenml_home: Path) -> None:
    box = Inbox(open_store("elsewhere"))  # which the environment names, and no configuration
    job = {name: value for name, value in job.items() if name != "inbox"}
    filed = [box.file(kind="object", target=name).request.id for name in ("cat", "dog")]
    config = {"parameters": job | {"gate": STRICT.model_dump()}}
    Path("config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": PYTHON_PATH, "ZENML_ANALYTICS_OPT_IN": "false"}
    environment |= {"EXPUNGE_INBOX": "elsewhere"}

    def tick(*words: str) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "expunge.cli", "retrain", "--config", "config.yaml", "--json", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert tick() == [{"requests": filed, "status": 0}]
    assert [box.state(each).label for each in filed] == ["failed", "failed"]
    Path("config.yaml").write_text(yaml.safe_dump({"parameters": job}), encoding="utf-8")
    assert tick() == [{"requests": [each], "status": 0} for each in filed]
    assert [box.state(each).label for each in filed] == ["fulfilled", "fulfilled"]
    assert box.champions.covered_by(box.champions.current().version) == set(filed) and len(box.champions.entries()) == 2
    assert tick() == []
