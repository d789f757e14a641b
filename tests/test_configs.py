"""Every config binds to the pipeline that its header names, key by key."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))  # those below ``worlds`` run nothing
COMMAND = re.compile(r"^# Run: +zenml pipeline run (\S+) -c (configs/\S+)$", re.MULTILINE)
MERGE = "tag:yaml.org,2002:merge"


class UniqueKeys(yaml.SafeLoader):
    """Refuses a key that is given twice; plain YAML would silently keep the last."""

    def construct_mapping(self, node, deep=False):
        given = [key for key, _ in node.value if key.tag != MERGE]  # what is merged in may be given again: it yields
        keys = [self.construct_object(key) for key in given]
        assert len(keys) == len(set(keys)), f"duplicate key among {keys}"
        return super().construct_mapping(node, deep)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_config_is_what_its_pipeline_takes(path: Path) -> None:
    text = path.read_text()
    command = COMMAND.search(text)
    assert command, f"{path.name} does not open with how to run it"
    assert command.group(2) == f"configs/{path.name}"
    name = command.group(1)
    module, attribute = (f"pipelines.{name}", name) if "." not in name else name.rsplit(".", 1)
    signature = inspect.signature(getattr(import_module(module), attribute).entrypoint)
    for key, value in yaml.load(text, UniqueKeys)["parameters"].items():
        assert key in signature.parameters, f"{path.name}: {attribute} takes no {key}"
        TypeAdapter(signature.parameters[key].annotation).validate_python(value)


def test_there_are_configs() -> None:
    assert {path.name for path in CONFIGS} >= {"demo.yaml", "pretrain.yaml"}


def test_unknown_keys_and_values_out_of_range_are_named() -> None:
    from pipelines.unlearn_pipeline import unlearn_pipeline

    parameters = inspect.signature(unlearn_pipeline.entrypoint).parameters.values()
    settings = [each.annotation for each in parameters if inspect.isclass(each.annotation)]
    settings = [each for each in settings if issubclass(each, BaseModel)]
    assert len(settings) == 9
    for each in settings:
        with pytest.raises(ValueError, match="no_such_key") as refused:
            each.model_validate({"no_such_key": 1})
        assert all(name in str(refused.value) for name in each.model_fields), each
