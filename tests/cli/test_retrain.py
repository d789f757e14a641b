"""``expunge retrain`` and ``expunge status`` as a schedule and a person call them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from expunge.cli import main
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbox:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return Inbox(open_store(".expunge/inbox"))


def expunge(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_nothing_pending_starts_nothing(box: Inbox, tmp_path: Path) -> None:
    result = expunge("retrain")
    assert result.exit_code == 0 and result.stdout == "Nothing is pending.\n"
    assert json.loads(expunge("retrain", "--json").stdout) == [] and list(tmp_path.iterdir()) == []


def test_an_empty_tick_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom expunge.cli import main\ntry: main(['retrain'])\nexcept SystemExit: pass\n"
        "print([name for name in ('zenml', 'mlflow', 'torch', 'boto3', 'pandas', 'numpy') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.stdout.splitlines() == ["Nothing is pending.", "['numpy']"], run.stderr


def test_what_would_be_run(box: Inbox) -> None:
    for name in ("cat", "dog"):
        box.file(kind="object", target=name)
    assert "Would run object-cat, object-dog." in expunge("retrain", "--dry-run").stdout
    told = json.loads(expunge("retrain", "--dry-run", "--json").stdout)
    assert told == [{"requests": ["object-cat", "object-dog"], "status": None}]
    assert {entry.state.label for entry in box.requests()} == {"pending"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "--config: c.yaml cannot be read: No such file"),
        ("a: [", "--config: c.yaml is no YAML"),
        ("- a", "--config: c.yaml holds no parameters"),
        ("parameters: 7", "--config: c.yaml holds no parameters"),
        ("parameters: {registered_model: a/b}", "registered_model: 'a/b' given"),
    ],
)
def test_a_bad_configuration_is_one_line(box: Inbox, content: str | None, message: str) -> None:
    if content is not None:
        Path("c.yaml").write_text(content, encoding="utf-8")
    result = expunge("retrain", "--config", "c.yaml")
    assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1


def test_inbox_and_model_are_those_of_the_configuration(box: Inbox) -> None:
    Inbox(open_store("elsewhere"), "other").file(kind="object", target="fish")
    parameters = {"inbox": "elsewhere", "registered_model": "other"}
    Path("c.yaml").write_text(yaml.safe_dump({"parameters": parameters}), encoding="utf-8")
    told = json.loads(expunge("retrain", "--dry-run", "--json", "--config", "c.yaml").stdout)
    assert told == [{"requests": ["object-fish"], "status": None}]


def test_without_a_word_in_the_configuration_the_environment_says_which(
    box: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.file(kind="object", target="cat")
    Inbox(open_store("elsewhere"), "other").file(kind="object", target="fish")
    Inbox(open_store("elsewhere"), "other").claim_pending("far-away:1:run", lambda batch: {})
    monkeypatch.setenv("EXPUNGE_INBOX", "elsewhere")
    assert json.loads(expunge("retrain", "--dry-run", "--json").stdout)[0]["requests"] == ["object-fish"]
    monkeypatch.setenv("EXPUNGE_MODEL", "other")
    assert json.loads(expunge("retrain", "--dry-run", "--json").stdout) == []  # for that model it is claimed
    Path("c.yaml").write_text("parameters: {inbox: .expunge/inbox}", encoding="utf-8")
    told = json.loads(expunge("retrain", "--dry-run", "--json", "--config", "c.yaml").stdout)
    assert told[0]["requests"] == ["object-cat"]
    monkeypatch.setenv("EXPUNGE_MODEL", "a/b")
    assert "registered_model: 'a/b' given" in expunge("retrain").stderr


def test_status_for_people_machines_and_a_page(box: Inbox) -> None:
    box.file(kind="object", target="cat", id="cat", due="2199-01-01")
    box.file(kind="object", target="dog")
    box.claim_pending("far-away:1:run", lambda batch: {"cat": "<b>no such thing</b>"})
    shown = expunge("status").stdout
    assert "expunge-zoo, champion: none yet" in shown and "for a person" in shown and "object-dog" in shown
    facts = json.loads(expunge("status", "--json").stdout)
    assert facts["running"] == ["object-dog"] and facts["rejected"] == facts["for_a_person"] == ["cat"]
    assert expunge("status", "--html", "status.html").stdout == "Wrote status.html\n"
    page = Path("status.html").read_text(encoding="utf-8")
    assert "1 for a person" in page and "&lt;b&gt;no such" in page and "<b>no" not in page and "1 January 2199" in page
    assert "cannot be written" in expunge("status", "--html", "no/where.html").stderr


def test_a_due_date_is_filed_shown_and_refused_in_the_past(box: Inbox) -> None:
    assert expunge("takedown", "file", "object", "cat", "--due", "2199-01-01").exit_code == 0
    assert "2199-01-01 23:59" in expunge("takedown", "list").stdout
    for due, message in (("2020-01-01", "due: 2020-01-01 23:59 UTC is past"), ("soon", "due: is no date")):
        result = expunge("takedown", "file", "object", "dog", "--due", due)
        assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1
    assert [entry.id for entry in box.requests()] == ["object-cat"]
