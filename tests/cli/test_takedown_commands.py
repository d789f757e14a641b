"""``expunge takedown`` as people and machines use it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from expunge.cli import main
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from tests.takedown.absences import absence


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPUNGE_INBOX", str(tmp_path / "inbox"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "inbox"


def expunge(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def facts(*arguments: str):
    result = expunge(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return json.loads(result.stdout)


def claim(folder: Path) -> None:
    Inbox(open_store(folder)).claim_pending("far-away:1:run", lambda batch: {})


def test_filing_twice(folder: Path) -> None:
    first, again = expunge("takedown", "file", "style", "noto"), expunge("takedown", "file", "style", "Noto")
    assert first.exit_code == again.exit_code == 0
    assert first.stdout.startswith("Filed style-noto.")
    assert again.stdout.startswith("Already filed as style-noto, which is pending")


def test_filing_with_everything(folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    options = ["--synonym", "moggy", "--synonym", "kitty", "--reason", "mine", "--id", "the-cat"]
    filed = facts("takedown", "file", "images", "cat", "--picture", str(tmp_path / "red.png"), *options)
    assert filed["created"] and filed["id"] == "the-cat" and filed["status"] == "pending"
    request = filed["request"]
    assert request["synonyms"] == ["moggy", "kitty"] and request["reason"] == "mine" and len(request["pictures"]) == 1
    assert (folder / "the-cat" / request["pictures"][0]).read_bytes() == (tmp_path / "red.png").read_bytes()


def test_listing(folder: Path) -> None:
    assert "No requests in" in expunge("takedown", "list").stdout
    assert facts("takedown", "list") == []
    expunge("takedown", "file", "style", "noto")
    claim(folder)
    expunge("takedown", "file", "object", "cat")
    (folder / "bad.yaml").write_text("kind: [")
    table = expunge("takedown", "list").stdout
    assert all(word in table for word in ("style-noto", "claimed", "object-cat", "pending", "no plain YAML"))
    assert [entry["id"] for entry in facts("takedown", "list")] == ["bad", "object-cat", "style-noto"]
    assert [entry["id"] for entry in facts("takedown", "list", "--status", "claimed")] == ["style-noto"]
    assert facts("takedown", "list", "--status", "closed") == []
    assert "No fulfilled requests" in expunge("takedown", "list", "--status", "fulfilled").stdout


def test_a_long_list_shows_what_moved_last(folder: Path) -> None:
    for name in ("cat", "dog", "horse"):
        expunge("takedown", "file", "object", name)
        if name == "cat":
            claim(folder)
    short = expunge("takedown", "list", "--limit", "2").stdout
    assert "object-cat" not in short and "object-horse" in short and "moved last of 3" in short
    whole = expunge("takedown", "list", "--limit", "0").stdout
    assert "object-cat" in whole and "moved last" not in whole
    assert len(facts("takedown", "list", "--limit", "2")) == 3


def test_a_life_in_commands(folder: Path) -> None:
    expunge("takedown", "file", "style", "noto", "--reason", "[red]not markup[/red]")
    claim(folder)
    shown = expunge("takedown", "show", "style-noto").stdout
    assert "held by far-away:1:run since" in shown and "[red]not markup[/red]" in shown
    assert expunge("takedown", "release", "style-noto").stdout == "style-noto is pending again.\n"
    claim(folder)
    Inbox(open_store(folder)).close("style-noto", "failed", "UA 0.4", {"ua": 0.4})
    shown = facts("takedown", "show", "style-noto")
    assert shown["status"] == "failed" and shown["state"]["certificate"] == {"ua": 0.4}
    assert [event["status"] for event in shown["state"]["history"]] == [
        "claimed",
        "pending",
        "claimed",
        "failed",
    ]
    assert "failed" in expunge("takedown", "show", "style-noto").stdout
    assert facts("takedown", "retry", "style-noto")["status"] == "pending"


def test_nothing_to_remove_in_commands(folder: Path) -> None:
    expunge("takedown", "file", "style", "noto")
    claim(folder)
    Inbox(open_store(folder)).close_absent("style-noto", absence())
    shown = expunge("takedown", "show", "style-noto").stdout
    assert "Status: nothing to remove" in shown and "Why there is nothing to remove" in shown
    assert all(word in shown for word in ("CLIP", "0.000–0.075", "held_out", "far-away:1:run", "0" * 64))
    assert "certificate" not in shown
    state = facts("takedown", "show", "style-noto")["state"]
    assert state["absence"] == absence().model_dump(mode="json") and state["certificate"] is None
    [listed] = facts("takedown", "list", "--status", "nothing to remove")
    assert listed["status"] == "nothing to remove" and listed["state"]["absence"]["pictures"] == 72
    assert "of 72 pictures by zoo" in expunge("takedown", "list").stdout
    assert "nothing to remove" in expunge("status").stdout
    assert facts("status")["nothing_to_remove"] == ["style-noto"]
    assert expunge("takedown", "file", "style", "noto").stdout.startswith("Filed style-noto-2.")
    assert facts("takedown", "retry", "style-noto")["status"] == "pending"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["file", "style", "https://example.org"], "target: holds '://'"),
        (["file", "images", "cat"], "needs at least one picture"),
        (["file", "images", "cat", "--picture", "nowhere.png"], "picture 'nowhere.png': cannot be read"),
        (["file", "style", "noto", "--id", "No Id"], "id: got 'No Id'; allowed are"),
        (["show", "nothing"], "no request 'nothing' in the inbox. It holds: none"),
        (["release", "nothing"], "no request 'nothing'"),
        (["retry", "nothing"], "no request 'nothing'"),
        (["list", "--inbox", "ftp://host"], "inbox: got 'ftp://host'; give a folder or s3://BUCKET/PREFIX"),
    ],
)
@pytest.mark.parametrize("json_flag", [[], ["--json"]])
def test_errors_are_one_line_on_stderr(folder: Path, arguments: list[str], message: str, json_flag: list[str]) -> None:
    result = expunge("takedown", *arguments, *json_flag)
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr and result.stderr.count("\n") == 1 and result.stderr.startswith("Error: ")


def test_a_kind_that_is_not_known(folder: Path) -> None:
    result = expunge("takedown", "file", "artist", "noto")
    assert result.exit_code == 2 and "'style'" in result.stderr and "Traceback" not in result.stderr


def test_the_option_goes_before_the_environment(folder: Path, tmp_path: Path) -> None:
    facts("takedown", "file", "style", "noto", "--inbox", str(tmp_path / "other"))
    assert facts("takedown", "list") == []
    assert len(facts("takedown", "list", "--inbox", str(tmp_path / "other"))) == 1
