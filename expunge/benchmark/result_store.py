"""Results on disk, one JSON file each, so that what was stopped goes on where it was."""

import ast
import hashlib
import json
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

import expunge
from expunge.errors import ExpungeError

FORMAT_VERSION = 2
# What numbers depend on, besides what a result's key covers; pages, releases and the command line are not among it.
MEASURING = ("prompts", "models", "pictures", "judges", "metrics", "unlearning", "evaluation", "comeback", "benchmark")


class Result(BaseModel):
    """Something that was measured.

    Attributes:
        key: SHA-256 of all settings and contents that it depends on.
        code: ``measuring_code`` that measured it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    key: str
    code: str


R = TypeVar("R", bound=Result)


class ResultStore(Generic[R]):
    """A folder of results of one type, by name.

    A result is served again only if the code that measures is the code that measured it: a fix in the library must not
    be hidden by what is stored.

    Args:
        folder: made if need be.
        kind: the type.
        keep: serve results of other code as well; each says which code measured it.
    """

    def __init__(self, folder: Path, kind: type[R], keep: bool = False) -> None:
        self.folder, self.kind, self.keep = folder, kind, keep
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Where the result of that name lies."""
        return self.folder / f"{name}.json"

    def find(self, name: str, key: str) -> R | None:
        """A result; None if there is none, or one of other code.

        Raises:
            ExpungeError: the file is not what ``put`` wrote, or is the result of something else.
        """
        path = self.path(name)
        if not path.exists():
            return None
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if stored["format_version"] != FORMAT_VERSION or stored["result"]["key"] != key:
                raise ExpungeError(
                    f"folder: {path} is of another format, model or settings; name another folder, or remove the file."
                )
            result = self.kind.model_validate(stored["result"])
        except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
            if isinstance(error, ExpungeError):
                raise
            why = " ".join(str(error).split())
            raise ExpungeError(f"folder: {path} is damaged ({why}); remove the file to measure it again.") from error
        return result if self.keep or result.code == measuring_code() else None

    def put(self, name: str, result: R) -> None:
        """Write a result under another name, then rename it: it is there whole or not at all."""
        text = json.dumps({"format_version": FORMAT_VERSION, "result": result.model_dump(mode="json")}, indent=1)
        handle, partial = tempfile.mkstemp(prefix="partial-", dir=self.folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.replace(partial, self.path(name))


@cache
def measuring_code() -> str:
    """SHA-256 over the code of the rooms in ``MEASURING``, as far as it does something.

    A benchmark takes hours and is not to be run again for a comment or a docstring: their text is left out, and so is
    how lines are broken. Everything else in these rooms counts, rather too much than too little. Another version of
    Python may parse differently and counts as other code.
    """
    folder = Path(expunge.__file__).parent
    found = [path for room in MEASURING for path in sorted((folder / room).rglob("*.py"))]
    digest = hashlib.sha256()
    for path in found:
        digest.update(f"{path.relative_to(folder).as_posix()}\0{meaning(path.read_text(encoding='utf-8'))}\0".encode())
    return digest.hexdigest()


def meaning(source: str) -> str:
    """A module's syntax tree without comments, docstrings and line breaks."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                first.value.value = ""
    return ast.dump(tree)
