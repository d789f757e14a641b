"""The walker itself, on a pipeline with what Kubeflow's compiler can write."""

import os
from pathlib import Path

import pytest

from tests.kubeflow.condition import holds
from tests.kubeflow.conftest import Kubeflow
from tests.kubeflow.walker import Cluster, NotStarted, Walker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sample(kubeflow: Kubeflow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled file."""
    file = tmp_path_factory.mktemp("sample") / "sample.yaml"
    done = kubeflow("-m", "tests.kubeflow.sample", file)
    assert done.returncode == 0, done.stderr
    return file


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, tmp_path, {"PATH": os.defpath}, {"kept": {"key": "s3cr3t"}})


def test_it_runs_what_a_cluster_would(sample: Path, cluster: Cluster, tmp_path: Path) -> None:
    ran = Walker(sample, cluster).walk(mark=str(tmp_path / "mark"))
    assert {path: each.status for path, each in ran.items()} == {
        "write": "succeeded",
        "read": "succeeded",
        "flaky": "succeeded",
        "condition-1": "succeeded",
        "condition-1/condition-branches-2": "succeeded",
        "condition-1/condition-branches-2/condition-3": "succeeded",
        "condition-1/condition-branches-2/condition-3/tell": "succeeded",
        "condition-1/condition-branches-2/condition-4": "skipped",
        "condition-5": "skipped",
        "slow": "failed",
        "tell-4": "omitted",
    }
    assert ran["write"].outputs == {"number": 3} and ran["read"].log == "a note s3cr3t\n"
    assert ran["flaky"].exits == (3, 0) and ran["flaky"].log == "not yet\nnow\n"
    assert ran["slow"].exits == (-9,) and ran["slow"].log == "begun\n"
    assert ran["condition-1/condition-branches-2/condition-3/tell"].log == "told one\n"


def test_the_other_branch(sample: Path, cluster: Cluster, tmp_path: Path) -> None:
    ran = Walker(sample, cluster).walk(mark=str(tmp_path / "mark"), word="two")
    inner = "condition-1/condition-branches-2"
    assert ran[f"{inner}/condition-3"].status == "skipped"
    assert ran[f"{inner}/condition-4/tell-2"].log == "told another\n"


def test_what_a_cluster_would_not_start_is_refused(sample: Path, cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(NotStarted, match="parameter 'mark' is not given"):
        Walker(sample, cluster).walk()
    text = sample.read_text(encoding="utf-8")
    for known, unknown in {"retryPolicy:": "iteratorPolicy:", "activeDeadlineSeconds:": "hostNetwork:"}.items():
        assert known in text
        (odd := tmp_path / "odd.yaml").write_text(text.replace(known, unknown), encoding="utf-8")
        with pytest.raises(NotStarted, match=f"{unknown[:-1]} is not known here"):
            Walker(odd, cluster).walk(mark=str(tmp_path / "mark"))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("int(inputs.parameter_values['a']) > 0", True),
        ("int(inputs.parameter_values['a']) > 2", False),
        ("inputs.parameter_values['b'] == 'two'", True),
        ("inputs.parameter_values['c'] == true", False),
        ("!(inputs.parameter_values['b'] == 'two')", False),
        ("!(int(inputs.parameter_values['a']) > 2) && inputs.parameter_values['b'] != 'x'", True),
    ],
)
def test_conditions(condition: str, expected: bool) -> None:
    assert holds(condition, {"a": 2, "b": "two", "c": False}) is expected


def test_a_condition_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="is not known here"):
        holds("size(inputs.parameter_values['a']) > 0", {"a": "x"})
