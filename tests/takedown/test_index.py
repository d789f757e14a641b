"""The index of what was read: never believed where the store tells another stamp, and never needed."""

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from expunge.takedown import folder_store, index
from expunge.takedown.folder_store import FolderStore
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import Store, open_store
from expunge.takedown.request import TakedownBatch
from expunge.takedown.s3_store import S3Store

FAR = "far-away:1:run"
COUNT = 40  # more than are read anew each time
REQUESTS = ".models/expunge-zoo/index/requests.json"
STATES = ".models/expunge-zoo/index/states.json"


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "s3":
        request.getfixturevalue("s3_server")
        return open_store(f"s3://expunge/{uuid.uuid4().hex}")
    monkeypatch.setattr(folder_store, "_SETTLED", 0)  # no waiting until a file is two seconds old
    return open_store(tmp_path / "inbox")


@pytest.fixture
def inbox(store: Store) -> Inbox:
    """Forty requests, half of them closed, all indexed."""
    inbox = Inbox(store)
    for number in range(COUNT):
        store.create(f"r{number:02d}.yaml", f"kind: style\ntarget: style {number}\n".encode())
    inbox.claim_pending(FAR, nothing_wrong)
    for number in range(0, COUNT, 2):
        inbox.close(f"r{number:02d}", "failed", "UA 0.5", {"ua": 0.5})
    inbox.requests()
    return inbox


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the objects that were read."""
    keys: list[str] = []

    def watch(kind: type) -> None:
        real: Callable = kind.read

        def read(self: Store, key: str, limit: int) -> bytes:
            keys.append(key)
            return real(self, key, limit)

        monkeypatch.setattr(kind, "read", read)

    watch(FolderStore)
    watch(S3Store)
    return keys


def nothing_wrong(batch: TakedownBatch) -> dict[str, str]:
    return {}


def test_what_has_not_changed_is_not_read_again(inbox: Inbox, reads: list[str]) -> None:
    entries = Inbox(inbox.store).requests()
    assert reads == [STATES, REQUESTS]
    inbox.store.delete(REQUESTS)
    inbox.store.delete(STATES)
    assert Inbox(inbox.store).requests() == entries and len(reads) == 4 + 2 * COUNT
    assert [entry.state.label for entry in entries] == ["failed", "claimed"] * (COUNT // 2)
    assert entries[0].state.certificate is None and inbox.entry("r00").state.certificate == {"ua": 0.5}


def test_a_large_index_lies_in_parts(inbox: Inbox, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    entries = inbox.requests()
    monkeypatch.setattr(index, "_PART", 15)
    for key in (STATES, REQUESTS):
        inbox.store.delete(key)
    assert Inbox(inbox.store).requests() == entries
    reads.clear()
    assert Inbox(inbox.store).requests() == entries
    parts = [key.replace(".json", part) for key in (STATES, REQUESTS) for part in (".json", "-1.json", "-2.json")]
    assert reads == parts
    inbox.store.delete(parts[1])  # what lies behind it is read again
    assert Inbox(inbox.store).requests() == entries and len(reads) == 6 + 2 + (COUNT - 15) + 3


def test_an_index_in_one_part_of_before_is_read(
    inbox: Inbox, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_PART", 15)
    Inbox(inbox.store).requests()
    assert [key for key in reads if key.endswith("/000001.json") or key.startswith("r")] == []


def test_filing_and_claiming_read_no_request_that_has_not_changed(inbox: Inbox, reads: list[str]) -> None:
    assert not inbox.file(kind="style", target="STYLE 1").created
    assert set(reads) == {REQUESTS, "r01.yaml", ".models/expunge-zoo/requests/r01/000001.json"}
    reads.clear()
    assert inbox.claim_pending("other:2:run", nothing_wrong).requests == ()
    assert reads == [STATES, REQUESTS]


def test_what_was_written_again_is_read_again(inbox: Inbox) -> None:
    inbox.store.replace("r00.yaml", b"kind: style\ntarget: style x\n")  # as long as before
    inbox.store.replace("r01.yaml", b"kind: [")
    inbox.store.delete("r02.yaml")
    inbox.retry("r04")
    entries = {entry.id: entry for entry in Inbox(inbox.store).requests()}
    assert entries["r00"].request.target == "style x" and "no plain YAML" in entries["r01"].problem
    assert "r02" not in entries and entries["r04"].state.label == "pending"


def test_a_file_edited_in_place_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_store, "_SETTLED", 0)
    inbox = Inbox(open_store(tmp_path))
    for number in range(COUNT):
        (tmp_path / f"r{number:02d}.yaml").write_text("kind: style\ntarget: noto\n")
    inbox.requests()
    before = (tmp_path / "r00.yaml").stat()
    (tmp_path / "r00.yaml").write_text("kind: style\ntarget: blob\n")
    os.utime(tmp_path / "r00.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert inbox.requests()[0].request.target == "blob"


def test_a_file_of_this_moment_is_not_indexed(tmp_path: Path) -> None:
    inbox = Inbox(open_store(tmp_path))
    for number in range(COUNT):
        (tmp_path / f"r{number:02d}.yaml").write_text("kind: style\ntarget: noto\n")
    assert set(inbox.store.stamps().values()) == {""}
    inbox.requests()
    assert not (tmp_path / REQUESTS).exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"format_version":1', '"format_version":2'),
        lambda text: text.replace("style 0", "../style"),
        lambda text: text.replace('"id":"r00"', '"id":"r99"'),
        lambda text: text.replace('"r00.yaml"', '"../r00.yaml"'),
        lambda text: json.dumps([text]),
    ],
)
def test_an_index_that_was_tampered_with_is_as_good_as_none(inbox: Inbox, change: Callable[[str], str]) -> None:
    before = Inbox(inbox.store).requests()
    text = inbox.store.read(REQUESTS, 10**6).decode()
    assert change(text) != text
    inbox.store.replace(REQUESTS, change(text).encode())
    assert Inbox(inbox.store).requests() == before


def test_a_store_that_takes_no_index_is_listed_all_the_same(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    before = Inbox(inbox.store).requests()
    inbox.store.delete(REQUESTS)
    if isinstance(inbox.store, FolderStore):
        (inbox.store.root / REQUESTS / "a folder").mkdir(parents=True)
    else:
        inbox.store.replace(f"{REQUESTS}/a", b"")
    assert Inbox(inbox.store).requests() == before


def test_a_small_inbox_has_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_store, "_SETTLED", 0)
    inbox = Inbox(open_store(tmp_path))
    inbox.file(kind="style", target="noto")
    inbox.requests()
    assert inbox.store.list() == ["style-noto.yaml"]
