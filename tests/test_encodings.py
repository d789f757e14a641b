"""Text files are UTF-8 whatever the locale: everything that opens one says so."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("expunge", "steps", "pipelines", "materializers", "infra", "benchmarks")
# Where the mode stands among the arguments of what opens a file.
MODE = {"open": 1, "fdopen": 1, "NamedTemporaryFile": 0, "TemporaryFile": 0}
TEXT, PROGRAMS = {"read_text", "write_text"}, {"run", "Popen", "check_output"}


def opened_by_locale(tree: ast.AST) -> Iterator[int]:
    """Lines that open text in the locale's encoding."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(each.arg == "encoding" for each in node.keywords):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        in_text = any(each.arg in {"text", "universal_newlines"} for each in node.keywords)
        if name in TEXT or (name in PROGRAMS and in_text) or (name in MODE and not _is_binary(node, name)):
            yield node.lineno


def _is_binary(call: ast.Call, name: str) -> bool:
    """Whether a file is opened for bytes; what has a method ``open`` of its own, such as PIL.Image, is no file."""
    given = [each.value for each in call.keywords if each.arg == "mode"]
    if isinstance(call.func, ast.Attribute) and name == "open":
        owner = ast.unparse(call.func.value)
        if owner in {"Image", "os", "webbrowser"}:
            return True
        given += call.args[:1] if not owner.endswith(("store", "filesystem", "files")) else call.args[1:2]
    else:
        given += call.args[MODE[name] : MODE[name] + 1]
    if not given:
        return "Temporary" in name  # they write bytes unless told otherwise
    return isinstance(given[0], ast.Constant) and "b" in str(given[0].value)


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("p.read_text()", [1]),
        ("p.write_text(x)", [1]),
        ("p.read_text(encoding='utf-8')", []),
        ("open(p)", [1]),
        ("open(p, 'rb')\nopen(p, mode='wb')\np.open('rb')\nos.fdopen(d, 'wb')", []),
        ("p.open()\np.open('a')\nopen(p, 'w')\nopen(p, mode)", [1, 2, 3, 4]),
        ("Image.open(p)\nos.open(p, 0)", []),
        ("self.artifact_store.open(p, 'wb')", []),
        ("self.artifact_store.open(p, 'w')", [1]),
        ("NamedTemporaryFile()\nNamedTemporaryFile('w')", [2]),
        ("subprocess.run(c, text=True)\nsubprocess.run(c)", [1]),
    ],
)
def test_the_finder(code: str, lines: list[int]) -> None:
    assert list(opened_by_locale(ast.parse(code))) == lines


@pytest.mark.parametrize("room", ROOMS)
def test_text_is_utf_8(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line in opened_by_locale(ast.parse(path.read_text(encoding="utf-8"), str(path)))
    ]
    assert found == [], 'say encoding="utf-8"'
