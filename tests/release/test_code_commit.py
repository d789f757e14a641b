"""Evidence names the library's own commit and nobody else's."""

import os
import subprocess
from importlib.metadata import PackageNotFoundError

import pytest

from expunge.code_digest import code_digest, digest_of
from expunge.release import code_commit as module
from expunge.release.code_commit import code_commit

WHO = {name: "nobody@example.org" for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")}
WHO |= {"GIT_AUTHOR_NAME": "nobody", "GIT_COMMITTER_NAME": "nobody", "GIT_CONFIG_GLOBAL": os.devnull}


def git(folder, *command) -> str:
    done = subprocess.run(["git", *command], cwd=folder, env=os.environ | WHO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def repository(folder, *tracked) -> str:
    """A repository that tracks these files; its commit."""
    git(folder, "init", "-q")
    for name in tracked:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n", encoding="utf-8")
        git(folder, "add", "--force", name)
    git(folder, "commit", "-q", "--allow-empty", "-m", "made")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path):
    """A checkout of a small library, and its commit."""
    root = tmp_path / "checkout"
    root.mkdir()
    return root, repository(root, "expunge/__init__.py", "README.md")


@pytest.fixture
def other(tmp_path):
    root = tmp_path / "other"
    root.mkdir()
    return root, repository(root, "expunge/__init__.py", "theirs.py")


def test_a_checkout_names_its_commit(checkout):
    root, commit = checkout
    assert code_commit(root / "expunge") == commit


@pytest.mark.parametrize("changed", ["expunge/__init__.py", "README.md", "expunge/untracked.py"])
def test_changes_are_said(checkout, changed):
    root, commit = checkout
    (root / changed).write_text("changed\n", encoding="utf-8")
    assert code_commit(root / "expunge") == f"{commit}+changes"


def test_a_file_that_nothing_runs_is_no_change(checkout):
    root, commit = checkout
    (root / "notes.txt").write_text("mine\n", encoding="utf-8")
    assert code_commit(root / "expunge") == commit


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_an_environment_that_names_another_repository_is_not_believed(checkout, other, variable, monkeypatch):
    root, commit = checkout
    there = {"GIT_DIR": other[0] / ".git", "GIT_WORK_TREE": other[0], "GIT_INDEX_FILE": other[0] / ".git" / "index"}
    monkeypatch.setenv(variable, str(there[variable]))
    assert code_commit(root / "expunge") == commit


@pytest.mark.parametrize("ignored", [True, False])
def test_an_installed_copy_inside_another_repository_is_not_its_commit(other, ignored):
    root, commit = other
    package = root / ".venv" / "lib" / "expunge"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("installed\n", encoding="utf-8")
    if ignored:
        (root / ".gitignore").write_text(".venv\n", encoding="utf-8")
    said = code_commit(package)
    assert commit not in said and said.endswith(digest_of(package)) and said.startswith("expunge ")


def test_a_copy_that_the_surrounding_repository_does_not_track_is_not_its_commit(tmp_path):
    commit = repository(tmp_path, "theirs.py")
    (tmp_path / "expunge").mkdir()
    (tmp_path / "expunge" / "__init__.py").write_text("copied\n", encoding="utf-8")
    assert commit not in code_commit(tmp_path / "expunge")


def test_a_repository_without_a_commit_names_the_code(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "expunge").mkdir()
    (tmp_path / "expunge" / "__init__.py").write_text("", encoding="utf-8")
    git(tmp_path, "add", "expunge/__init__.py")
    assert code_commit(tmp_path / "expunge").endswith(digest_of(tmp_path / "expunge"))


def test_without_git_and_without_metadata_the_code_itself_is_named(checkout, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setenv("PATH", "")
    assert code_commit().endswith(code_digest())
    monkeypatch.setattr(module, "installed_version", missing)
    assert code_commit(checkout[0] / "expunge").startswith("expunge without a version, SHA-256 of its code ")
