"""kill -9 between any two effects of claim, register, promote and close: the rerun ends as an undisturbed run."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from expunge.models.text_to_image import TextToImage
from expunge.release.finishing import finish
from expunge.release.promotion import follow
from expunge.release.registry import Registry
from expunge.release.settling import Settling
from expunge.release.verification import State, verify_files
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.owner import this_owner
from tests.release.crash import counted, in_a_process
from tests.release.made_versions import findings_for, page_of, registered

pytestmark = pytest.mark.slow
NAME = "expunge-zoo"
TARGETS = ("cat", "dog")
OUTCOME = ("promoted", "failed")


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty MLflow store and two filed requests, made by a process of its own."""
    home = tmp_path_factory.mktemp("blank")

    def make() -> None:
        Registry(f"sqlite:///{home}/mlflow.db")

    assert in_a_process(make) == 0
    box = Inbox(open_store(home / "inbox"))
    for name in TARGETS:
        box.file(kind="object", target=name)
    return home


def run(home: Path, model: TextToImage, passed: bool) -> None:
    """The job from claim to close, with unlearning left out: what is registered depends on requests and base alone."""
    box, registry = Inbox(open_store(home / "inbox")), Registry(f"sqlite:///{home}/mlflow.db")
    owner = this_owner("a-run")
    left = finish(box, registry, box.claim_pending(owner, lambda batch: {}), page_of, owner)
    if left.requests:
        base = follow(box.champions, registry)
        version = registered(model, findings_for(left.requests, base, passed), NAME)
        assert Settling(box, registry, version.version, page_of).settle(owner) in OUTCOME


def outcome(home: Path) -> dict[str, Any]:
    """All that is to be the same, whoever was killed when."""
    box, registry = Inbox(open_store(home / "inbox")), Registry(f"sqlite:///{home}/mlflow.db")
    certificates = {}
    for entry in box.requests():
        folder = home / f".expunge/reports/{NAME}-1"
        on_file = json.loads((folder / f"certificate-{entry.id}.json").read_text(encoding="utf-8"))
        assert (
            on_file
            == box.state(entry.id).certificate
            == json.loads(registry.read(1, f"report/certificate-{entry.id}.json"))
        )
        checks = verify_files(folder / f"certificate-{entry.id}.json", model=registry.folder(1))
        assert all(each.state is State.OK for each in checks), checks
        certificates[entry.id] = {key: value for key, value in on_file.items() if key not in ("issued_at", "digest")}
    ends = {entry.id: [e.status.value for e in entry.state.history if e.status.value in ("fulfilled", "failed")]
            for entry in box.requests()}  # fmt: skip
    return {
        "versions": [(each.version, each.digest, each.aliases) for each in registry.history()],
        "crownings": [(each.version, each.replaces, each.adds) for each in box.champions.entries()],
        "ends": ends,
        "certificates": certificates,
    }


@pytest.mark.parametrize("passed", [True, False])
def test_whenever_it_is_killed_the_rerun_ends_as_an_undisturbed_run(
    blank: Path, tmp_path: Path, tiny_model: TextToImage, passed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attempt(home: Path, stop: int | None) -> int:
        def work() -> None:
            os.chdir(home)
            with counted(stop) as seen:
                run(home, tiny_model, passed)
            found = {"seen": seen, "outcome": outcome(home)}
            (home / "found.json").write_text(json.dumps(found), encoding="utf-8")

        return in_a_process(work)

    def found(home: Path) -> dict[str, Any]:
        assert attempt(home, None) == 0, f"{home.name}: see the traceback above"
        return json.loads((home / "found.json").read_text(encoding="utf-8"))

    # In this process, so that those forked from it need not import anew what a release imports when it is needed.
    monkeypatch.chdir(shutil.copytree(blank, tmp_path / "first"))
    run(Path.cwd(), tiny_model, passed)
    outcome(Path.cwd())
    undisturbed = found(shutil.copytree(blank, tmp_path / "undisturbed"))
    wanted, effects = undisturbed["outcome"], undisturbed["seen"]
    assert len(wanted["crownings"]) == (1 if passed else 0)
    assert set(map(tuple, wanted["ends"].values())) == {("fulfilled" if passed else "failed",)}
    assert {"MlflowClient.create_model_version", "FolderStore.create", "Path.write_text"} <= set(effects)

    different = {}
    # Before each effect, and after the last: after any other, all that outlives the process is as before the next.
    for stop in (*range(0, 2 * len(effects), 2), 2 * len(effects) - 1):
        home = tmp_path / f"stop-{stop}"
        shutil.copytree(blank, home)
        assert attempt(home, stop) == -signal.SIGKILL
        if (now := found(home)["outcome"]) != wanted:
            different[f"{'after' if stop % 2 else 'before'} effect {stop // 2}, {effects[stop // 2]}"] = now
        shutil.rmtree(home)
    assert different == {}
