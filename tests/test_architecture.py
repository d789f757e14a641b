"""The shape of the house: which way imports run, what a bare import loads, what may be in the tree."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Weights are safetensors: these formats are, or may hide, pickles.
PICKLES = {".bin", ".ckpt", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth"}
MLFLOW_USERS = {
    f"expunge/release/{name}.py"
    for name in (
        "pyfunc_model",
        "races",
        "registry",
        "store_check",
        "store_errors",
        "stored_model",
        "stored_version",
        "tracking",
    )
}


@cache
def imports(folder: str) -> dict[str, set[str]]:
    """The top-level packages that each module of a folder imports, anywhere in the file."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        names = set()
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import; imports are absolute here"
                names.add(node.module or "")
        found[path.relative_to(ROOT).as_posix()] = {name.split(".")[0] for name in names}
    return found


def tracked() -> list[Path]:
    """Files in the repository or about to be: what git tracks or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("expunge", {"zenml", "steps", "pipelines", "materializers", "tests"}),
        ("materializers", {"steps", "pipelines", "tests"}),
        ("steps", {"pipelines", "tests"}),
        ("pipelines", {"tests"}),
    ],
)
def test_imports_run_one_way(folder, forbidden):
    modules = imports(folder)
    assert modules, f"{folder} holds no module"
    assert {name: names & forbidden for name, names in modules.items() if names & forbidden} == {}


# Each room imports itself and those before it; what lies beside the rooms comes where it is named.
ROOMS = (
    "errors", "settings", "progress", "freed_memory", "processes", "plugins", "code_digest", "markdown", "schedule",
    "takedown", "prompts", "models", "pictures", "judges",
    "case", "metrics", "unlearning", "evaluation", "comeback", "release", "reports", "zoo", "benchmark", "cli",
)  # fmt: skip


def rooms_imported() -> dict[str, set[str]]:
    """The rooms that each module imports, lazily and for type checking too, from modules of the library's own."""
    found = {}
    for path in sorted((ROOT / "expunge").rglob("*.py")):
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module == "expunge":
                names |= {f"expunge.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
        found[path.relative_to(ROOT).as_posix()] = {name.split(".")[1] for name in names if name.startswith("expunge.")}
    return found


def room_of(module: str) -> str:
    return module.split("/")[1].removesuffix(".py")


def test_rooms_import_those_before_them_only():
    places = {room: place for place, room in enumerate(ROOMS)}
    modules = {name: rooms for name, rooms in rooms_imported().items() if room_of(name) != "__init__"}
    assert {room_of(name) for name in modules} <= set(ROOMS)
    upwards = {
        name: sorted(room for room in rooms if places[room] > places[room_of(name)]) for name, rooms in modules.items()
    }
    assert {name: rooms for name, rooms in upwards.items() if rooms} == {}


def test_modules_have_names_that_tell_them_apart():
    names = [Path(name).name for name in rooms_imported()]
    twice = {name for name in names if names.count(name) > 1} - {"__init__.py", "__main__.py"}
    assert twice == set()


# Functions that take more than six arguments, each for a reason.
MANY = {
    "unlearn_pipeline": "a pipeline's arguments are the settings of its config",
    "evaluation_pipeline": "the same",
    "evaluate": "click hands a command each of its options",
    "draw": "the same",
    "file": "the same, and what they are passed to: the fields of a request",
    "redraw": "stands in for a method of diffusers, with what that takes",
    "unlearn": "a step's arguments are artifacts and settings, one by one: ZenML stores and caches each by itself",
    "cache_gradients": "the same",
    "try_comeback": "the same",
    "gather_findings": "the same",
    "write_report": "the same",
    "score_evaluation": "the same",
    "write_evaluation": "the same",
}


def test_few_functions_take_more_than_six_arguments():
    found = {}
    for folder in ("expunge", "steps", "pipelines", "materializers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                    taken = [each.arg for each in given if each.arg not in ("self", "cls")]
                    if len(taken) > 6:
                        found[node.name] = f"{path.relative_to(ROOT)} {len(taken)}"
    assert set(found) <= set(MANY), found


def test_no_file_is_long():
    lengths = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in rooms_imported()}
    assert {name: length for name, length in lengths.items() if length > 310} == {}


def test_mlflow_is_used_by_the_registry_alone():
    users = {name for name, names in imports("expunge").items() if "mlflow" in names}
    assert users == MLFLOW_USERS


def test_the_model_that_mlflow_stores_imports_nothing_of_expunge():
    assert "expunge" not in imports("expunge")["expunge/release/pyfunc_model.py"]


@pytest.mark.parametrize(
    "module",
    [
        "expunge",
        "expunge.evaluation.evaluation",
        "expunge.takedown.request",
        "expunge.prompts.world",
        "expunge.prompts.target",
    ],
)
def test_light_modules_load_nothing_heavy(module):
    script = f"import sys, {module}; print(*sorted({{'zenml', 'torch', 'mlflow'}} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_no_pickles_in_the_tree():
    assert [path.name for path in tracked() if path.suffix.lower() in PICKLES] == []


def test_weights_stay_small():
    sizes = {path: path.stat().st_size for path in tracked()}
    assert [path.name for path, size in sizes.items() if size > 30e6] == []
    assert sum(size for path, size in sizes.items() if path.suffix == ".safetensors") <= 30e6


def test_the_lock_pins_every_package_by_hash_and_names_no_host():
    lock = (ROOT / "requirements.lock").read_text()
    assert re.findall(r"https?://|file:|git\+|^-", lock, re.MULTILINE) == []
    packages = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert len(packages) > 100
    assert [each.split()[0] for each in packages if "==" not in each or "--hash=sha256:" not in each] == []


def test_the_lock_has_everything_that_is_asked_for():
    wanted = [line for line in (ROOT / "requirements.in").read_text().splitlines() if line and line[0] != "#"]
    locked = {name.lower() for name in re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.M)}
    names = {re.split(r"[\[<>=; ]", line)[0].lower().replace("_", "-") for line in wanted}
    assert names - locked == set()
