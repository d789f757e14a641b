"""The pipeline as Kubeflow compiles it: read by its own messages and loader, walked with real requests in a bucket."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from infra.image import USER, WRITABLE
from tests.conftest import IMPATIENCE, PYTHON_PATH
from tests.kubeflow.conftest import Kubeflow
from tests.kubeflow.walker import Cluster, NotStarted, Ran, Walker
from tests.pipelines.test_purge import MODEL, tiny_job

pytestmark = pytest.mark.slow
INBOX = "s3://expunge/kubeflow/inbox"
IMAGE = "registry.example/expunge@sha256:" + "0" * 64


@pytest.fixture(scope="module")
def settings(s3_server: str) -> dict[str, Any]:
    """Those that ship, with this machine's store."""
    shipped = yaml.safe_load(Path("infra/kubeflow/settings.yaml").read_text(encoding="utf-8"))
    store = {"AWS_ENDPOINT_URL": s3_server, "AWS_DEFAULT_REGION": os.environ["AWS_DEFAULT_REGION"]}
    own = {"environment": store, "secrets": {"expunge-store": shipped["secrets"]["expunge-store"]}}
    return shipped | own | {"config_map": "expunge-configs", "config": "/etc/expunge/config/tiny.yaml"}


@pytest.fixture(scope="module")
def compiled(settings: dict[str, Any], kubeflow: Kubeflow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled file."""
    folder = tmp_path_factory.mktemp("kubeflow")
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    words = ("--image", IMAGE, "--settings", folder / "settings.yaml", "--out", folder / "pipeline.yaml")
    done = kubeflow("-m", "infra.kubeflow.compile", *words)
    assert done.returncode == 0 and done.stdout.startswith(f"Wrote {folder / 'pipeline.yaml'}."), done.stderr
    return folder / "pipeline.yaml"


@pytest.fixture
def cluster(zenml_home: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """With the Secrets that the settings name, and the main job on tiny models as its configuration."""
    (workplace := tmp_path / "app").mkdir()
    monkeypatch.chdir(workplace)
    job = tiny_job(INBOX, tiny_folder)
    config = yaml.safe_dump({"parameters": job | {"gate": job["gate"].model_dump(mode="json")}})
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
        "PYTHONPATH": PYTHON_PATH,
        "HOME": str(tmp_path / "home"),
        **{name: value for name, value in os.environ.items() if name.startswith(("ZENML_", "HF_", "MLFLOW_DISABLE"))},
        **IMPATIENCE,
    }
    from expunge.release.signing import keys as kinds

    both, made = (kinds.CERTIFICATE, kinds.MODEL), tmp_path / "keys"
    keys = {f"{kind.name}.pem": kinds.private_key_file(kind, made).read_text() for kind in both}
    store = {"access-key-id": os.environ["AWS_ACCESS_KEY_ID"], "secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"]}
    secrets = {"expunge-store": store, "expunge-signing": keys}
    return Cluster(tmp_path / "pods", workplace, environment, secrets, {"expunge-configs": {"tiny.yaml": config}})


def executor(spec: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The container of an executor, and what Kubernetes is told about it."""
    pipeline, platforms = yaml.safe_load_all(spec.read_text(encoding="utf-8"))
    platform = platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return pipeline["deploymentSpec"]["executors"][name]["container"], platform[name]


def test_what_the_containers_are_given(compiled: Path, settings: dict[str, Any]) -> None:
    container, platform = executor(compiled, "exec-retrain")
    gpu = container["resources"]["accelerator"]
    assert (gpu["resourceType"], gpu["resourceCount"]) == ("nvidia.com/gpu", "1")
    assert container["resources"]["resourceMemoryLimit"] == settings["memory"] and container["image"] == IMAGE
    assert platform["nodeSelector"]["labels"] == settings["node_selector"]
    assert platform["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert platform["activeDeadlineSeconds"] == str(60 * settings["deadline_minutes"])
    assert {each["mountPath"] for each in platform["emptyDirMounts"]} >= set(WRITABLE.values())
    assert platform["securityContext"] == {"runAsUser": str(USER), "runAsGroup": str(USER), "runAsNonRoot": True}

    counting, there = executor(compiled, "exec-pending")
    assert "accelerator" not in counting["resources"] and "nodeSelector" not in there
    assert [each["secretName"] for each in there["secretAsEnv"]] == ["expunge-store"] and "secretAsVolume" not in there


def test_nothing_is_cached_everything_is_tried_again_and_no_secret_is_in_it(compiled: Path, cluster: Cluster) -> None:
    text = compiled.read_text(encoding="utf-8")
    pipeline, _ = yaml.safe_load_all(text)
    tasks = [
        pipeline["root"]["dag"]["tasks"]["pending"],
        *pipeline["components"]["comp-condition-1"]["dag"]["tasks"].values(),
    ]
    assert [task["cachingOptions"] for task in tasks] == [{}, {}]  # as the message has it: false is left out
    assert [task["retryPolicy"]["maxRetryCount"] for task in tasks] == [2, 2]
    assert [value for keys in cluster.secrets.values() for value in keys.values() if value in text] == []


MISSPELT = {
    "maxRetryCount:": "maxRetries:",
    "cachingOptions:": "caching:",
    "executorLabel:": "executor:",
    "nodeSelector:": "nodeSelectors:",
    "secretKey:": "secret_kee:",
    "activeDeadlineSeconds: '": "activeDeadlineSeconds: 'a",
    "platforms:": "platform:",
}
EACH = """
import sys
from pathlib import Path
from expunge.errors import ExpungeError
from infra.kubeflow.compile import check_spec
for name in sys.argv[1:]:
    try:
        check_spec(Path(name))
        print("taken")
    except ExpungeError as error:
        print(error)
"""


def test_a_misspelt_field_is_refused(compiled: Path, kubeflow: Kubeflow, tmp_path: Path) -> None:
    text, files = compiled.read_text(encoding="utf-8"), [compiled]
    for number, (right, wrong) in enumerate(MISSPELT.items()):
        assert right in text
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(text.replace(right, wrong), encoding="utf-8")
    done = kubeflow("-c", EACH, *files)
    assert done.returncode == 0, done.stderr
    taken, *refused = done.stdout.splitlines()
    assert taken == "taken" and len(refused) == len(MISSPELT)
    for file, wrong, line in zip(files[1:], MISSPELT.values(), refused, strict=True):
        assert line.startswith(f"{file}: is no pipeline that Kubeflow reads: ") and wrong.split(":")[0] in line


def test_with_nothing_pending_nothing_is_unlearned(compiled: Path, cluster: Cluster) -> None:
    ran = Walker(compiled, cluster).walk()
    assert {path: each.status for path, each in ran.items()} == {"pending": "succeeded", "condition-1": "skipped"}
    assert ran["pending"].outputs == {"count": 0} and ran["pending"].log == "0 pending\n"


def test_two_takedowns_are_ended_by_one_container(compiled: Path, cluster: Cluster) -> None:
    box = Inbox(open_store(INBOX), MODEL)
    filed = [box.file(kind="object", target=name).request.id for name in ("cat", "dog")]
    ran = Walker(compiled, cluster).walk()

    assert ran["pending"].outputs == {"count": 2}
    assert {path: each.status for path, each in ran.items()} == dict.fromkeys(
        ("pending", "condition-1", "condition-1/retrain"), "succeeded"
    ), told(ran)
    assert [box.state(each).label for each in filed] == ["fulfilled", "fulfilled"], told(ran)
    crowning = box.champions.current()
    assert crowning is not None and crowning.adds == tuple(filed)
    assert f"Ran {', '.join(filed)}." in ran["condition-1/retrain"].log
    said = told(ran)
    assert [key for kept in cluster.secrets.values() for key, value in kept.items() if value in said] == []
    # Signed with the key of the Secret, and with no other.
    left = {file.name for file in (cluster.workplace / ".expunge" / "keys").iterdir()}
    assert left == {"certificate.pub.pem", "model.pub.pem"}


def test_a_secret_that_is_not_there_is_named(compiled: Path, cluster: Cluster) -> None:
    bare = Cluster(cluster.folder, cluster.workplace, cluster.environment, {}, cluster.config_maps)
    with pytest.raises(NotStarted, match="pending: there is no Secret 'expunge-store' with the key 'access-key-id'"):
        Walker(compiled, bare).walk()


def test_a_config_that_is_not_there_fails_in_one_line_and_nothing_follows(compiled: Path, cluster: Cluster) -> None:
    ran = Walker(compiled, cluster).walk(config="configs/none.yaml")
    assert (ran["pending"].status, ran["condition-1"].status) == ("failed", "omitted")
    line = "Error: config: there is no file configs/none.yaml.\n"
    assert ran["pending"].exits == (1, 1, 1) and ran["pending"].log == 3 * line


def told(ran: dict[str, Ran]) -> str:
    return "\n".join(f"{path}: {each.status}\n{each.log}" for path, each in ran.items())
