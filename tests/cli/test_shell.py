"""What a real shell can do to the command line: locales, widths, full disks, closed pipes, strange paths."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str, inbox: str = "in", **environment: str) -> subprocess.CompletedProcess:
    settings = {"PYTHONPATH": str(ROOT), "EXPUNGE_INBOX": inbox} | environment
    return subprocess.run(
        [sys.executable, "-m", "expunge.cli", *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        env={name: value for name, value in os.environ.items() if name != "COLUMNS"} | settings,
    )


@pytest.fixture
def inbox(tmp_path: Path) -> str:
    """An inbox with one request, for something with letters beyond ASCII."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "one.yaml").write_text("kind: object\ntarget: çät – 猫\n", encoding="utf-8")
    return str(folder)


# The last one: a locale whose files are ASCII too.
@pytest.mark.parametrize(
    "locale",
    [{"PYTHONIOENCODING": name} for name in ("ascii", "iso-8859-1", "cp1252")]
    + [{"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}],
    ids=lambda locale: "-".join(locale.values()),
)
def test_a_locale_that_does_not_know_every_letter(inbox: str, locale: dict[str, str]) -> None:
    listed = run("takedown", "list", inbox=inbox, **locale)
    assert listed.returncode == 0 and listed.stderr == "" and "\\u732b" in listed.stdout
    found = run("takedown", "list", "--json", inbox=inbox, **locale)
    assert json.loads(found.stdout)[0]["request"]["target"] == "çät – 猫"
    wrong = run("takedown", "show", "猫", inbox=inbox, **locale)
    assert wrong.returncode == 2 and wrong.stderr.startswith("Error: ") and "Traceback" not in wrong.stderr


@pytest.mark.parametrize("columns", ["0", "1", "-3", "wide", "100000"])
def test_any_width_prints_the_table(inbox: str, columns: str) -> None:
    listed = run("takedown", "list", inbox=inbox, COLUMNS=columns)
    assert listed.returncode == 0 and "猫" in listed.stdout


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_a_pipe_is_clean(inbox: str, environment: dict[str, str]) -> None:
    for words in (["takedown", "list"], ["takedown", "show", "one"], ["takedown", "show", "two"], ["--help"]):
        done = run(*words, inbox=inbox, **environment)
        assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("words", [["takedown", "list"], ["takedown", "list", "--json"], ["--help"]])
def test_a_full_disk_behind_stdout_is_one_line(inbox: str, words: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "expunge.cli", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "EXPUNGE_INBOX": inbox},
        )
    assert (done.returncode, done.stderr) == (2, "Error: file system: No space left on device; make room there\n")


def test_a_reader_that_went_away_is_no_error(inbox: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "expunge.cli", "takedown", "list", "--json"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "EXPUNGE_INBOX": inbox},
    )
    os.close(writer)
    assert done.stderr == "" and done.returncode == 1


@pytest.mark.parametrize(
    "words",
    [
        ["takedown", "list", "--inbox", "~nobody-has-this-name/in"],
        ["takedown", "list", "--inbox", "a" * 300],
        ["takedown", "list", "--inbox", "x/" * 3000],
        ["evaluate", "zoo", "--out", f"{'a' * 300}/x"],
        ["draw", "a cat", "--out", f"{'a' * 300}/x.png"],
        ["draw", "a cat", "--guidance", "nan", "--out", "a.png"],
        ["draw", "a cat", "--guidance", "inf", "--out", "a.png"],
    ],
)
def test_strange_input_is_refused_without_a_traceback(tmp_path: Path, words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "Error: " in done.stderr.splitlines()[-1]
