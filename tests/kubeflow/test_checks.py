"""``expunge stack check --kubeflow``: what the pipeline lacks in a cluster is one line with its remedy."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from expunge.cli import main
from expunge.cli.stack_checks import Finding, Missing
from expunge.errors import ExpungeError
from infra.kubeflow import checks
from infra.kubeflow.checks import KubeflowCheck, check_kubeflow, compiles
from infra.kubeflow.settings import read_settings
from infra.kubernetes.cluster_check import ask_cluster
from tests.clusters.cluster import Cluster, cluster
from tests.kubeflow.conftest import Kubeflow

pytestmark = pytest.mark.slow
IMAGE, NAMESPACE = "registry.example/expunge:1.0", "kubeflow-team"
SHIPPED = Path("infra/kubeflow/settings.yaml")


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kubeflow: Kubeflow) -> Iterator[Cluster]:
    """A cluster that lacks nothing of what the settings that ship ask for."""
    with cluster(tmp_path / "cluster", {}) as made:
        monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
        made.add_namespace(NAMESPACE)
        made.add_node("gpu-1", gpus=1, images=[IMAGE], **{"nvidia.com/gpu.present": "true"})
        with made.objects.changing("nodes", "", "gpu-1") as node:
            node["spec"] = {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}
        made.add_node("cpu-1")
        for name, keys in yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["secrets"].items():
            made.add_secret(NAMESPACE, name, **dict.fromkeys(keys.values(), "hidden-word"))
        made.add_secret(NAMESPACE, "expunge-signing", **{"certificate.pem": "hidden-word", "model.pem": "hidden-word"})
        yield made


def settings_file(folder: Path, **changed: Any) -> Path:
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) | {"namespace": NAMESPACE}
    (file := folder / "mine.yaml").write_text(yaml.safe_dump(shipped | changed, sort_keys=False), encoding="utf-8")
    return file


def told(findings: list[Finding]) -> list[Finding]:
    assert all(bool(each.remedy) != each.ok and "\n" not in each.found + each.remedy for each in findings)
    assert "hidden" not in str(findings)
    return findings


def missing(folder: Path, **changed: Any) -> list[tuple[str, str]]:
    """What the cluster lacks; compiling takes seconds, and is not asked for here."""
    settings = read_settings(settings_file(folder, **changed))
    findings = told(ask_cluster(lambda: KubeflowCheck(settings, IMAGE)))
    return [(each.what, each.found) for each in findings if not each.ok]


def test_a_whole_cluster_lacks_nothing_and_nothing_is_changed_there(whole: Cluster, tmp_path: Path) -> None:
    before = len(whole.objects.written)
    findings = told(check_kubeflow(settings_file(tmp_path), IMAGE))
    assert [each.what for each in findings if not each.ok] == [] and len(whole.objects.written) == before
    pieces = ["clock", "namespace", "secrets", "configuration", "nodes", "image"]
    assert [each.what for each in findings] == ["Kubeflow's pipeline", "cluster", *(f"cluster's {x}" for x in pieces)]


def test_cluster_namespace_and_secrets(whole: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((what, found),) = missing(tmp_path, context="other")
    assert what == "cluster" and found.startswith("context: 'other' is not in your kubeconfig, which has substitute;")
    gone = missing(tmp_path, namespace="nowhere")
    assert gone == [
        ("cluster's namespace", "there is no namespace nowhere"),
        ("cluster's secrets", "there is no secret expunge-store in nowhere"),
    ]
    signing = [("cluster's secrets", "secret expunge-mlflow has no key certificate.pem")]
    assert missing(tmp_path, signing_keys="expunge-mlflow") == signing
    pull = [("cluster's secrets", "there is no secret pull in kubeflow-team")]
    assert missing(tmp_path, image_pull_secrets=["pull"]) == pull
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    ((what, found),) = missing(tmp_path)
    assert what == "cluster" and "no kubeconfig can be read" in found


def test_accelerator_node_selector_and_tolerations_go_together(whole: Cluster, tmp_path: Path) -> None:
    two = {"accelerator": {"type": "nvidia.com/gpu", "limit": 2}}
    chosen = "nvidia.com/gpu.present=true"
    said = f"retrain: asks for 2 nvidia.com/gpu, and the nodes with {chosen} offer 1"
    assert missing(tmp_path, **two) == [("cluster's nodes", said)]
    said = f"retrain: the nodes with {chosen} have the taint nvidia.com/gpu, which it does not tolerate"
    assert missing(tmp_path, tolerations=[]) == [("cluster's nodes", said)]
    said = "retrain: no node is ready with pool=none"
    assert missing(tmp_path, node_selector={"pool": "none"}) == [("cluster's nodes", said)]
    amd = {"accelerator": {"type": "amd.com/gpu", "limit": 1}}
    said = f"retrain: asks for 1 amd.com/gpu, and the nodes with {chosen} offer 0"
    assert missing(tmp_path, **amd) == [("cluster's nodes", said)]


def test_a_configuration_in_a_config_map(whole: Cluster, tmp_path: Path) -> None:
    own = {"config_map": "configs", "config": "/etc/expunge/config/mine.yaml"}
    said = [("cluster's configuration", "there is no config map configs in kubeflow-team")]
    assert missing(tmp_path, **own) == said
    configs = {"metadata": {"name": "configs"}, "data": {"other.yaml": "parameters: {}"}}
    whole.objects.create("configmaps", NAMESPACE, configs)
    assert missing(tmp_path, **own) == [("cluster's configuration", "config map configs has no mine.yaml")]
    assert missing(tmp_path, **own | {"config": "/etc/expunge/config/other.yaml"}) == []


def test_a_pipeline_that_does_not_compile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExpungeError, match="image: 'expunge:latest' given; name it with a tag"):
        check_kubeflow(settings_file(tmp_path), "expunge:latest")
    with pytest.raises(ExpungeError, match=r"settings: unknown key 'nmae'"):
        check_kubeflow(settings_file(tmp_path, nmae="x"), IMAGE)
    monkeypatch.setattr(checks, "PYTHON", tmp_path / "none")
    with pytest.raises(Missing, match="its compiler is not set up"):
        compiles(settings_file(tmp_path), IMAGE)


def test_the_command_asks_for_kubeflow_instead_of_a_schedule(
    whole: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_file(tmp_path)
    root = Path.cwd()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(root))
    words = ["stack", "check", "--json", "--kubeflow", "mine.yaml", "--image", IMAGE]
    done = CliRunner().invoke(main, words)
    found = {each["what"]: each for each in json.loads(done.stdout)}
    assert found["Kubeflow's pipeline"]["ok"] and found["cluster's nodes"]["ok"] and "schedule" not in found
    done = CliRunner().invoke(main, words[:-2])
    assert done.exit_code == 2 and done.stderr.startswith("Error: image: '' given; name it with a tag")
