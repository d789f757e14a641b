"""What steps and pipelines look like: thin, typed, light to import, and nothing of theirs is pickled."""

import ast
import importlib
from pathlib import Path
from types import UnionType
from typing import get_args, get_origin

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "diffusers", "transformers", "open_clip", "mlflow"}


def is_step(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        "step" in {getattr(each, "id", ""), getattr(getattr(each, "func", None), "id", "")}
        for each in node.decorator_list
    )


def steps() -> dict[str, ast.FunctionDef]:
    found = {}
    for path in sorted((ROOT / "steps").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if is_step(node):
                found[f"{path.stem}.{node.name}"] = node
    return found


def test_every_step_has_a_file_of_its_own_name():
    names = [name.split(".") for name in steps()]
    assert len(names) >= 13
    assert [module for module, function in names if module != function] == []


@pytest.mark.parametrize("name", steps())
def test_steps_are_doorways(name):
    step = steps()[name]
    said, *work = step.body
    assert isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant), "a step says what it does"
    lines = work[-1].end_lineno - work[0].lineno + 1
    assert lines <= 15, f"{name} has a body of {lines} lines; move the work into expunge/"
    assert not any(isinstance(each, ast.For | ast.While | ast.Try) for each in ast.walk(step))


@pytest.mark.parametrize("name", steps())
def test_what_goes_in_is_typed_and_what_comes_out_is_named(name):
    step = steps()[name]
    assert all(argument.annotation is not None for argument in step.args.args)
    assert step.returns is None or "Annotated" in ast.unparse(step.returns)


@pytest.mark.parametrize("name", steps())
def test_several_outputs_are_spelt_out_in_the_return(name):
    """ZenML counts a step's outputs by the return statement, and so would take ``return work()`` for one."""
    step = steps()[name]
    if isinstance(step.returns, ast.Subscript) and getattr(step.returns.value, "id", "") == "tuple":
        returned = [node.value for node in ast.walk(step) if isinstance(node, ast.Return)]
        assert [len(getattr(value, "elts", [])) for value in returned] == [len(step.returns.slice.elts)]


@pytest.mark.parametrize("name", steps())
def test_no_argument_is_a_literal(name):
    """ZenML 0.98 cannot be handed a value for one within a dynamic pipeline."""
    assert not any("Literal" in ast.unparse(each.annotation) or "Side" in ast.unparse(each.annotation)
                   for each in steps()[name].args.args)  # fmt: skip


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.py")), ids=lambda path: path.stem)
def test_pipelines_import_nothing_heavy_themselves(path: Path):
    top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} & HEAVY == set()


def kinds_of(annotation: object) -> list[type]:
    """The classes in an annotation: those of its members where it is a container or a union."""
    if get_origin(annotation) in (list, tuple, dict, UnionType):
        return [kind for each in get_args(annotation) for kind in kinds_of(each)]
    return [annotation] if isinstance(annotation, type) else []


@pytest.mark.parametrize("name", steps())
def test_no_output_is_pickled(name, zenml_home):
    from zenml.integrations.pandas import PandasIntegration
    from zenml.materializers.cloudpickle_materializer import CloudpickleMaterializer
    from zenml.materializers.materializer_registry import materializer_registry

    PandasIntegration.activate()
    module, function = name.split(".")
    outputs = getattr(importlib.import_module(f"steps.{module}"), function).entrypoint_definition.outputs
    found = {
        key: [materializer_registry[kind] for kind in kinds_of(each.resolved_annotation)]
        for key, each in outputs.items()
    }
    assert all(found.values()), found
    assert not any(issubclass(each, CloudpickleMaterializer) for used in found.values() for each in used), found
