"""The cluster's settings: strict, without a secret value, each error one line that names the field."""

from pathlib import Path

import pytest
import yaml

from expunge.errors import ExpungeError
from infra.kubeflow.settings import KubeflowSettings, check_image, read_settings

SHIPPED = Path("infra/kubeflow/settings.yaml")


def test_those_that_ship_are_read_and_say_everything_there_is_to_say() -> None:
    settings = read_settings(SHIPPED)
    assert settings.accelerator is not None and settings.accelerator.limit == 1 and settings.retries == 2
    assert set(yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))) == set(KubeflowSettings.model_fields)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmae: x", "unknown key 'nmae'; allowed are name, config"),
        ("accelerator: {typ: nvidia.com/gpu}", "accelerator: unknown key 'typ'; allowed are type, limit"),
        ("accelerator: {limit: 0}", "accelerator.limit: Input should be greater than or equal to 1; got '0'"),
        ("accelerator: {type: gpu}", "accelerator.type: String should match"),
        ("memory: much", "memory: String should match"),
        ("retries: -1", "retries: Input should be greater than or equal to 0; got '-1'"),
        ("retries: 1\nretries: 2", "the key 'retries' is given twice or is no word (line 2)"),
        (
            "environment: {MLFLOW_TRACKING_PASSWORD: x}",
            "environment: MLFLOW_TRACKING_PASSWORD would stand in",
        ),
        ("environment: {ZENML_STORE_API_KEY: x}", "environment: ZENML_STORE_API_KEY would stand in"),
        ("environment: {A: 'http://me:word@host'}", "environment: A holds a login"),
        ("environment: {A: x}\nsecrets: {b: {A: c}}", "secrets: A is given twice"),
        ("secrets: {Big_Name: {A: c}}", "secrets.Big_Name"),
        ("tolerations: [{key: a, effect: Never}]", "tolerations.0.effect: Input should be 'NoSchedule'"),
        ("a: [", "no plain YAML"),
    ],
)
def test_what_is_not_allowed_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (file := tmp_path / "settings.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ExpungeError) as refused:
        read_settings(file)
    assert str(refused.value).startswith("settings: ") and message in str(refused.value)
    assert "\n" not in str(refused.value) and "me:word" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExpungeError, match="settings: .*none.yaml cannot be read: No such file"):
        read_settings(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "image", ["expunge:1.0", "host:5000/a/expunge:1.0", "host/expunge@sha256:" + "0" * 64, "expunge:latest-1"]
)
def test_an_image_that_stays_the_same_is_taken(image: str) -> None:
    assert check_image(image) == image


@pytest.mark.parametrize("image", ["expunge", "expunge:latest", "", "host:5000/expunge", "a b:1", "expunge@sha256:0"])
def test_an_image_that_may_be_another_one_tomorrow_is_refused(image: str) -> None:
    with pytest.raises(ExpungeError, match="image: .* given; name it with a tag other than 'latest'"):
        check_image(image)
