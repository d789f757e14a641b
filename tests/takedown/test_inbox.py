"""The inbox: filing once, claiming exclusively, rejecting the bad, losing nothing."""

import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.prompts.open_requests import opened
from expunge.prompts.target import unworkable
from expunge.prompts.world import Level, World
from expunge.takedown import picture_files, request_files
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import NotHeld, Wait
from expunge.takedown.object_store import StoreUnreachable, open_store
from expunge.takedown.owner import this_owner
from expunge.takedown.picture_files import MAX_BYTES
from expunge.takedown.references import read_references
from expunge.takedown.request import TakedownBatch, TakedownRequest
from tests.takedown.absences import absence
from tests.takedown.champions import crowning, fulfil
from tests.takedown.conftest import Clock, picture_bytes

ROOT = Path(__file__).parents[2]
FAR = "far-away:1:run"
WORLD = World(
    templates={"train": ["a {style} {subject}"]},
    factors={
        "subject": {"cat": Level(train=["cat", "kitten"]), "dog": Level(train=["dog"])},
        "style": {"noto": Level(train=["noto"]), "blob": Level(train=["blob"])},
    },
)


def anything(batch: TakedownBatch) -> dict[str, str]:
    """Every request is fine."""
    return {}


def drawn(batch: TakedownBatch) -> dict[str, str]:
    return unworkable(batch, opened(WORLD, batch.requests))


def drop(folder: Path, name: str, text: str = "kind: style\ntarget: noto\n") -> None:
    (folder / name).write_text(text, encoding="utf-8")


def ids(inbox: Inbox, owner: str = FAR) -> list[str]:
    return [request.id for request in inbox.claim_pending(owner, anything).requests]


# Filing


def test_filing_makes_a_pending_request(inbox: Inbox, clock: Clock) -> None:
    filing = inbox.file(kind="style", target="Van Gogh", synonyms=["vincent"], requester="R", reason="because")
    assert filing.created and filing.state.label == "pending"
    assert filing.request.id == "style-van-gogh" and filing.request.filed_at == clock.now
    [entry] = inbox.requests()
    assert entry.request == filing.request and entry.problem == ""


@pytest.mark.parametrize("stage", ["pending", "claimed", "fulfilled"])
def test_filing_the_same_again_returns_what_is_there(inbox: Inbox, stage: str) -> None:
    first = inbox.file(kind="style", target="noto", id="mine")
    if stage != "pending":
        inbox.claim_pending(FAR, anything)
    if stage == "fulfilled":
        fulfil(inbox, "mine")
    again = inbox.file(kind="style", target=" NOTO ")
    assert not again.created and again.request == first.request and again.state.label == stage
    assert len(inbox.requests()) == 1


@pytest.mark.parametrize("outcome", ["failed", "rejected", "nothing to remove"])
def test_filing_again_after_it_came_to_nothing_makes_a_new_one(inbox: Inbox, outcome: str) -> None:
    inbox.file(kind="style", target="noto")
    inbox.claim_pending(FAR, anything)
    if outcome == "nothing to remove":
        inbox.close_absent("style-noto", absence(), FAR)
    else:
        inbox.close("style-noto", outcome)
    again = inbox.file(kind="style", target="noto")
    assert again.created and again.request.id == "style-noto-2"


def test_different_targets_with_one_slug_get_different_ids(inbox: Inbox) -> None:
    assert inbox.file(kind="object", target="C").request.id == "object-c"
    assert inbox.file(kind="object", target="C+").request.id == "object-c-2"
    assert inbox.file(kind="style", target="C").request.id == "style-c"


def test_an_id_that_is_taken(inbox: Inbox) -> None:
    inbox.file(kind="style", target="noto", id="mine")
    with pytest.raises(ExpungeError, match="id: 'mine' is taken by another request"):
        inbox.file(kind="style", target="twemoji", id="mine")


def test_filing_in_many_threads_makes_one_request(folder: Path) -> None:
    start, filings = threading.Barrier(6), []

    def file() -> None:
        start.wait()
        filings.append(Inbox(open_store(folder)).file(kind="style", target="noto"))

    threads = [threading.Thread(target=file) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(filing.created for filing in filings) == 1
    assert {filing.request.id for filing in filings} == {"style-noto"}


def test_pictures_are_copied_in(inbox: Inbox, picture: Path) -> None:
    request = inbox.file(kind="images", target="my cat", pictures=[picture]).request
    picture.unlink()
    assert ids(inbox) == [request.id]
    pixels = next(inbox.pictures(request))
    assert pixels.shape == (7, 9, 3) and request.pictures[0].endswith(".png")
    assert sorted(inbox.state(request.id).hashes) == [
        f"{request.id}.yaml",
        f"{request.id}/{request.pictures[0]}",
    ]


def test_filing_refuses_what_claiming_would_reject(inbox: Inbox, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for fields, message in [
        ({"kind": "artist", "target": "a"}, "kind: got 'artist'"),
        ({"kind": "style", "target": "../a"}, "target: holds '..'"),
        ({"kind": "images", "target": "a"}, "at least one picture"),
        ({"kind": "style", "target": "a", "id": "../a"}, "id: got '../a'"),
        (
            {"kind": "images", "target": "a", "pictures": [tmp_path / "text.png"]},
            "picture 'text.png': is no PNG",
        ),
        (
            {"kind": "images", "target": "a", "pictures": [tmp_path / "none.png"]},
            "cannot be read: No such file",
        ),
        ({"kind": "images", "target": "a", "pictures": [tmp_path]}, "cannot be read: Is a directory"),
    ]:
        with pytest.raises(ExpungeError, match=message):
            inbox.file(**fields)
    assert inbox.store.list() == []


# Dropping files


def test_a_dropped_file_is_a_request(inbox: Inbox, folder: Path) -> None:
    drop(folder, "please.yaml", "kind: images\ntarget: my cat\npictures: [one.webp]\n")
    (folder / "please").mkdir()
    (folder / "please" / "one.webp").write_bytes(picture_bytes((5, 4), "WEBP"))
    [request] = inbox.claim_pending(FAR, anything).requests
    assert request.id == "please" and next(inbox.pictures(request)).shape == (4, 5, 3)
    before = (folder / "please.yaml").read_bytes()
    fulfil(inbox, "please", {"weights": "abc"})
    assert (folder / "please.yaml").read_bytes() == before
    assert inbox.state("please").certificate == {"weights": "abc"}


def test_the_batch_does_not_depend_on_who_claims_or_when(inbox: Inbox, folder: Path, clock: Clock) -> None:
    drop(folder, "b.yaml")
    drop(folder, "a.yaml", "kind: object\ntarget: cat\n")
    first = inbox.claim_pending(FAR, anything)
    clock.passes(minutes=3)
    assert inbox.claim_pending("other:2:run", anything) == first
    assert [request.id for request in first.requests] == ["a", "b"]


def test_other_files_are_left_alone(inbox: Inbox, folder: Path) -> None:
    for name in ("README.md", ".hidden.yaml", "notes.txt"):
        drop(folder, name)
    (folder / "sub").mkdir()
    drop(folder, "sub/deep.yaml")
    (folder / ".state").mkdir()
    drop(folder, ".state/stray")
    assert inbox.requests() == [] and ids(inbox) == []


# Bad requests


def test_bad_requests_are_rejected_with_a_reason_and_the_others_go_on(inbox: Inbox, folder: Path) -> None:
    reasons = {
        "malformed": ("kind: [", "no plain YAML"),
        "kind-unknown": ("kind: artist\ntarget: noto", "kind: got 'artist'; allowed are"),
        "not-drawn": (
            "kind: object\ntarget: unicorn",
            "the model draws no object called 'unicorn'. It draws",
        ),
        "path": ("kind: style\ntarget: ../noto", "target: holds '..'"),
        "url": ("kind: style\ntarget: https://noto", "target: holds '://'"),
        "picture-url": ("kind: images\ntarget: cat\npictures: ['https://h/a.png']", "is a path or URL"),
        "picture-missing": ("kind: images\ntarget: cat\npictures: [no.png]", "picture 'no.png': is missing"),
        "picture-broken": (
            "kind: images\ntarget: cat\npictures: [a.png]",
            "picture 'a.png': is broken or truncated",
        ),
        "picture-huge": (
            "kind: images\ntarget: cat\npictures: [a.png]",
            "picture 'a.png': .*more than the 10,000,000",
        ),
        "picture-wide": (
            "kind: images\ntarget: cat\npictures: [a.png]",
            "picture 'a.png': has .* 16 megapixels",
        ),
        "picture-link": ("kind: images\ntarget: cat\npictures: [a.png]", "picture 'a.png': .*symbolic link"),
        "large": ("kind: style\ntarget: noto\nreason: " + "a" * 70_000, "more than the 65,536 bytes"),
    }
    contents = {
        "picture-broken": picture_bytes((50, 50))[:-2000],
        "picture-huge": b"\0" * (MAX_BYTES + 1),
        "picture-wide": picture_bytes((8001, 2001), mode="1"),
    }
    for name, (text, _) in reasons.items():
        drop(folder, f"{name}.yaml", text)
        (folder / name).mkdir()
    for name, data in contents.items():
        (folder / name / "a.png").write_bytes(data)
    (folder / "picture-link" / "a.png").symlink_to("/etc/hostname")
    drop(folder, "good.yaml", "kind: object\ntarget: Kitten")
    assert [request.id for request in inbox.claim_pending(FAR, drawn).requests] == ["good"]
    states = {entry.id: entry.state for entry in inbox.requests()}
    assert {id for id, state in states.items() if state.label == "rejected"} == set(reasons)
    for name, (_, message) in reasons.items():
        with pytest.raises(ExpungeError, match=message):
            raise ExpungeError(states[name].reason)
    assert ids(inbox) == ["good"]  # still held by the same owner; the rejected stay rejected


@pytest.mark.parametrize("name", ["My Request.yaml", "a.yml", "A.yaml", "-a.yaml", "a b\n.yaml", "x" * 64 + ".yaml"])
def test_a_file_whose_name_is_no_id_is_rejected(inbox: Inbox, folder: Path, name: str) -> None:
    drop(folder, name)
    assert ids(inbox) == []
    [entry] = inbox.requests()
    assert entry.id.startswith("_") and "rename it" in entry.state.reason and entry.state.label == "rejected"


def test_a_request_that_is_a_link_is_rejected(inbox: Inbox, folder: Path, tmp_path: Path) -> None:
    drop(tmp_path, "outside.yaml")
    (folder / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    assert ids(inbox) == [] and "symbolic link" in inbox.state("link").reason


def test_a_file_name_that_is_no_unicode(inbox: Inbox, folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff.yaml"))).write_text("kind: style\ntarget: noto\n")
    assert ids(inbox) == []
    assert inbox.requests()[0].state.label == "rejected"


def test_a_mended_request_is_retried(inbox: Inbox, folder: Path) -> None:
    drop(folder, "a.yaml", "kind: artist\ntarget: noto")
    assert ids(inbox) == []
    drop(folder, "a.yaml")
    assert ids(inbox) == []
    assert inbox.retry("a").label == "pending"
    assert ids(inbox) == ["a"]
    assert [event.status for event in inbox.state("a").history] == ["rejected", "pending", "claimed"]


def test_an_unforeseen_error_leaves_nothing_claimed(inbox: Inbox, folder: Path) -> None:
    drop(folder, "a.yaml")
    drop(folder, "b.yaml")

    def breaks(batch: TakedownBatch) -> dict[str, str]:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        inbox.claim_pending(FAR, breaks)
    assert {entry.state.label for entry in inbox.requests()} == {"pending"}


@pytest.mark.parametrize(
    "second", ["kind: style\ntarget: x\n", "kind: [", "kind: images\ntarget: x\npictures: [a.png]\n"]
)
def test_a_store_that_stops_answering_rejects_nothing(inbox: Inbox, folder: Path, clock: Clock, second: str) -> None:
    drop(folder, "a.yaml")
    drop(folder, "b.yaml", second)
    (folder / "b").mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def exhausts_files() -> datetime:  # when asked for the time, which is after the states were read
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        return clock()

    try:
        with pytest.raises(StoreUnreachable, match="Too many open files"):
            Inbox(inbox.store, clock=exhausts_files).claim_pending(FAR, anything)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert {entry.state.label for entry in inbox.requests()} == {"pending"}


WAYS_TO_BREAK_A_READER = {
    "after-the-end": ("kind: object\ntarget: cat\nfiled_at: 9999-12-31T23:59:59-01:00", "filed_at: lies outside"),
    "before-the-start": ("kind: object\ntarget: cat\nfiled_at: 0001-01-01T00:00:00+14:00", "filed_at: lies outside"),
    "a-year": ("kind: object\ntarget: cat\nfiled_at: 2024", "filed_at: is no date"),
    "deep": ("kind: " + "[" * 30_000, "nested too deeply"),
    "deep-keys": ("{a: " * 15_000, "nested too deeply"),
    "a-key-of-keys": ("? {a: b}\n: c", "is no word"),
    "hidden": ('kind: object\ntarget: "c\\u200Bat"', "target: holds U[+]200B ZERO WIDTH SPACE"),
    "digits": ("kind: object\ntarget: cat\nfiled_at: " + "9" * 5000, "filed_at: is no date"),
}


def test_whatever_a_file_makes_its_readers_raise_rejects_that_file_alone(inbox: Inbox, folder: Path) -> None:
    for name, (text, _) in WAYS_TO_BREAK_A_READER.items():
        drop(folder, f"{name}.yaml", text)
    drop(folder, "good.yaml", "kind: object\ntarget: cat")
    assert {entry.id for entry in inbox.requests() if entry.problem} == set(WAYS_TO_BREAK_A_READER)
    assert inbox.file(kind="style", target="noto").created
    assert [request.id for request in inbox.claim_pending(FAR, drawn).requests] == ["good", "style-noto"]
    for name, (_, message) in WAYS_TO_BREAK_A_READER.items():
        state = inbox.state(name)
        assert state.label == "rejected" and re.search(message, state.reason) and "\n" not in state.reason


def test_an_error_that_nobody_foresaw_rejects_that_file_alone(
    inbox: Inbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(folder, "bad.yaml", "kind: object\ntarget: cat\nreason: bad")
    drop(folder, "good.yaml", "kind: object\ntarget: cat")
    real = request_files.parse_request

    def breaks(data: bytes, *rest: object) -> TakedownRequest:
        if b"bad" in data:
            raise RecursionError("maximum recursion depth exceeded")
        return real(data, *rest)

    monkeypatch.setattr(request_files, "parse_request", breaks)
    assert ids(inbox) == ["good"]
    assert (
        inbox.state("bad").reason == "the request file cannot be read: RecursionError: maximum recursion depth exceeded"
    )


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no file system that keeps every time")
@pytest.mark.parametrize("seconds", [10**12, -(10**11)])
def test_a_file_changed_in_no_year_that_there_is(seconds: int) -> None:
    with TemporaryDirectory(dir="/dev/shm") as folder:
        inbox = Inbox(open_store(folder))
        drop(Path(folder), "odd.yaml")
        drop(Path(folder), "dated.yaml", "kind: object\ntarget: cat\nfiled_at: 2026-01-02")
        for name in ("odd.yaml", "dated.yaml"):
            os.utime(Path(folder) / name, (seconds, seconds))
        assert ids(inbox) == ["dated"]
        assert "none of the years 1 to 9999; touch the file" in inbox.state("odd").reason


def test_of_requests_impossible_together_the_first_filed_go_on(inbox: Inbox, clock: Clock) -> None:
    for name in ("noto", "blob"):
        inbox.file(kind="style", target=name)
        clock.passes(minutes=1)
    inbox.file(kind="object", target="cat")
    assert [request.id for request in inbox.claim_pending(FAR, drawn).requests] == ["object-cat", "style-noto"]
    assert "every other style that the model draws is forgotten or asked for already (noto)" in (
        inbox.state("style-blob").reason
    )
    inbox.close("style-noto", "failed", "UA 0.5")
    inbox.retry("style-blob")
    assert "style-blob" in [request.id for request in inbox.claim_pending(FAR, drawn).requests]


def test_what_was_fulfilled_counts_when_others_are_claimed(inbox: Inbox) -> None:
    first = inbox.file(kind="style", target="noto").request
    assert inbox.claim_pending(FAR, drawn).forgotten == ()
    fulfil(inbox, "style-noto")
    inbox.file(kind="style", target="blob")
    inbox.file(kind="object", target="cat")
    batch = inbox.claim_pending(FAR, drawn)
    assert [request.id for request in batch.requests] == ["object-cat"] and batch.forgotten == (first,)
    assert inbox.state("style-blob").label == "rejected"


def test_pictures_of_a_request_are_limited_as_a_whole(
    inbox: Inbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_files, "MAX_PIXELS_OF_A_REQUEST", 3_000_000)
    (folder / "many").mkdir()
    for number in range(4):
        (folder / "many" / f"{number}.png").write_bytes(picture_bytes((1000, 1000), mode="1"))
    drop(folder, "many.yaml", "kind: images\ntarget: cat\npictures: [0.png, 1.png, 2.png, 3.png]")
    drop(folder, "good.yaml", "kind: object\ntarget: cat")
    assert ids(inbox) == ["good"]
    assert inbox.state("many").reason.startswith("pictures: up to '3.png' they have 4 megapixels together; at most 3")
    with pytest.raises(ExpungeError, match="have 4 megapixels together"):
        inbox.file(kind="images", target="dog", pictures=sorted((folder / "many").iterdir()))


# Pictures of a claim


@pytest.fixture
def claimed(inbox: Inbox, folder: Path) -> TakedownRequest:
    (folder / "please").mkdir()
    for name, size in (("one.png", (40, 20)), ("two.png", (10, 30))):
        (folder / "please" / name).write_bytes(picture_bytes(size))
    drop(folder, "please.yaml", "kind: images\ntarget: cat\npictures: [one.png, two.png]")
    [request] = inbox.claim_pending(FAR, drawn).requests
    return request


def test_references_are_squares_of_the_models_size(folder: Path, claimed: TakedownRequest) -> None:
    found = read_references(str(folder), TakedownBatch(requests=(claimed,)), 16)
    assert found[claimed.id].shape == (2, 16, 16, 3) and found[claimed.id].dtype == np.uint8


def test_a_picture_changed_after_the_claim_is_refused(inbox: Inbox, folder: Path, claimed: TakedownRequest) -> None:
    before = (folder / "please" / "two.png").read_bytes()
    (folder / "please" / "two.png").write_bytes(picture_bytes((11, 30)))
    with pytest.raises(
        ExpungeError, match="picture 'two.png': is not the one that was there when 'please' was claimed"
    ):
        read_references(str(folder), TakedownBatch(requests=(claimed,)), 16)
    (folder / "please" / "two.png").write_bytes(before)
    assert len(list(inbox.pictures(claimed))) == 2
    (folder / "please" / "two.png").write_bytes(picture_bytes((11, 30)))
    inbox.release("please")
    assert [request.id for request in inbox.claim_pending(FAR, drawn).requests] == ["please"]  # as they are now
    assert [pixels.shape for pixels in inbox.pictures(claimed)] == [(20, 40, 3), (30, 11, 3)]


def test_many_large_pictures_take_the_memory_of_one(tmp_path: Path) -> None:
    """20 pictures of 4000 × 4000: all at once they would be 0.96 GB."""
    script = """
import io, resource, sys
from pathlib import Path
from PIL import Image
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import NotHeld, Wait
from expunge.takedown.object_store import open_store
from expunge.takedown.references import read_references
folder = Path(sys.argv[1])
(folder / "big").mkdir(parents=True)
file = io.BytesIO()
Image.new("RGB", (4000, 4000), "red").save(file, "PNG")
names = [f"{number}.png" for number in range(20)]
for name in names:
    (folder / "big" / name).write_bytes(file.getvalue())
(folder / "big.yaml").write_text("kind: images\\ntarget: cat\\npictures: [" + ", ".join(names) + "]")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
batch = Inbox(open_store(folder)).claim_pending("far-away:1:run", lambda batch: {})
assert read_references(str(folder), batch, 64)["big"].shape == (20, 64, 64, 3)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "inbox")]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(run.stdout) < 400  # MB


# Claims


def test_a_claim_is_exclusive_until_closed(inbox: Inbox) -> None:
    inbox.file(kind="style", target="noto")
    assert ids(inbox) == ["style-noto"] and ids(inbox, "other:2:run") == []
    inbox.close("style-noto", "failed", "UA 0.5")
    assert ids(inbox, "other:2:run") == []
    inbox.retry("style-noto")
    assert ids(inbox, "other:2:run") == ["style-noto"]


def test_what_was_fulfilled_is_known_afterwards(inbox: Inbox, folder: Path) -> None:
    for name in ("noto", "blob", "flat"):
        inbox.file(kind="style", target=name)
    first = inbox.claim_pending(FAR, anything)
    assert len(first.requests) == 3 and first.forgotten == ()
    fulfil(inbox, "style-noto")
    inbox.close("style-blob", "failed", "UA 0.5")
    assert [request.target for request in inbox.claim_pending("other:2:run", anything).forgotten] == ["noto"]
    drop(folder, "style-noto.yaml", "kind: [")  # what can no longer be read is not among them, and stays fulfilled
    assert inbox.claim_pending("other:2:run", anything).forgotten == ()
    assert inbox.state("style-noto").label == "fulfilled"


def test_only_those_named_are_claimed_or_rejected(inbox: Inbox, folder: Path) -> None:
    for name in ("noto", "blob"):
        inbox.file(kind="style", target=name)
    drop(folder, "bad.yaml", "kind: [")
    batch = inbox.claim_pending(FAR, anything, only=["style-blob"])
    assert [each.id for each in batch.requests] == ["style-blob"]
    assert {entry.id: entry.state.label for entry in inbox.requests()} == {
        "bad": "pending", "style-blob": "claimed", "style-noto": "pending"}  # fmt: skip


def test_a_released_claim_can_be_taken(inbox: Inbox) -> None:
    inbox.file(kind="style", target="noto")
    assert ids(inbox) == ["style-noto"]
    assert inbox.release("style-noto").label == "pending"
    assert ids(inbox, "other:2:run") == ["style-noto"]


def test_a_heartbeat_keeps_a_claim(inbox: Inbox, clock: Clock) -> None:
    inbox.file(kind="style", target="noto")
    assert ids(inbox) == ["style-noto"]
    for _ in range(10):  # half an hour
        clock.passes(minutes=2)
        inbox.heartbeats.beat(FAR)
        clock.passes(minutes=1)
        assert ids(inbox, "other:2:run") == []
    clock.passes(minutes=3)
    assert ids(inbox, "other:2:run") == ["style-noto"]


def test_a_live_process_keeps_its_claim_and_its_silence_ends_it(inbox: Inbox, clock: Clock) -> None:
    inbox.file(kind="style", target="noto")
    assert ids(inbox, this_owner("one")) == ["style-noto"] and ids(inbox, this_owner("two")) == []
    clock.passes(minutes=3)
    assert ids(inbox, this_owner("two")) == ["style-noto"]


def test_beats_go_on_until_the_block_ends_even_by_an_error(folder: Path) -> None:
    inbox = Inbox(open_store(folder), lease=timedelta(seconds=0.3))
    inbox.file(kind="style", target="noto")
    with pytest.raises(KeyError), inbox.heartbeats.kept_up(FAR):
        assert ids(inbox) == ["style-noto"]
        time.sleep(1)
        assert ids(inbox, "other:2:run") == []
        raise KeyError
    assert threading.active_count() == 1 or not any("heartbeat" in each.name for each in threading.enumerate())
    assert list((folder / ".models/expunge-zoo/runs").iterdir()) == []
    time.sleep(0.4)
    assert ids(inbox, "other:2:run") == ["style-noto"]


def test_who_lost_a_claim_moves_nothing(inbox: Inbox, clock: Clock) -> None:
    inbox.file(kind="style", target="noto")
    ids(inbox)
    clock.passes(minutes=4)
    assert ids(inbox, "other:2:run") == ["style-noto"]
    with pytest.raises(
        NotHeld, match="request 'style-noto' is claimed by other:2:run by now, so far-away:1:run leaves"
    ):
        inbox.close("style-noto", "failed", owner=FAR)
    with pytest.raises(NotHeld):
        inbox.release("style-noto", owner=FAR)
    inbox.release_all(FAR, "it failed")
    assert inbox.state("style-noto").claim.owner == "other:2:run"
    inbox.release_all("other:2:run", "it failed")
    assert inbox.state("style-noto").label == "pending"


# For a model


def test_one_inbox_serves_several_models(folder: Path, inbox: Inbox) -> None:
    other = Inbox(open_store(folder), "other-model")
    inbox.file(kind="style", target="noto")
    ids(inbox)
    fulfil(inbox, "style-noto")
    assert [each.state.label for each in other.requests()] == ["pending"]
    assert not inbox.file(kind="style", target="noto").created
    batch = other.claim_pending(FAR, anything)
    assert [each.id for each in batch.requests] == ["style-noto"] and batch.forgotten == ()


def test_only_what_the_champion_covers_is_fulfilled(inbox: Inbox) -> None:
    inbox.file(kind="style", target="noto")
    ids(inbox)
    with pytest.raises(
        ExpungeError, match="'style-noto' is not fulfilled: no champion of expunge-zoo has forgotten it"
    ):
        inbox.close("style-noto", "fulfilled")
    fulfil(inbox, "style-noto", {"ua": 1.0})
    inbox.champions.crown(crowning(7, 1, (), "roll-back"))
    state = inbox.state("style-noto")
    assert state.label == "pending" and state.certificate is None
    assert state.history[-1].reason == "the champion, version 7, has not forgotten it"
    assert not inbox.file(kind="style", target="noto").created  # it waits to be done again
    assert ids(inbox, "other:2:run") == ["style-noto"]
    assert [each.status for each in inbox.state("style-noto").history] == ["claimed", "fulfilled", "pending", "claimed"]


def test_what_the_model_does_not_draw_is_neither_forgotten_nor_pending(inbox: Inbox, folder: Path) -> None:
    for name in ("noto", "blob"):
        inbox.file(kind="style", target=name)
    ids(inbox)
    with pytest.raises(NotHeld, match="so other:2:run leaves it alone"):
        inbox.close_absent("style-noto", absence(), "other:2:run")
    assert inbox.close_absent("style-noto", absence(), FAR).label == "nothing to remove"
    assert Inbox(open_store(folder)).state("style-noto").absence == absence()
    fulfil(inbox, "style-blob")
    batch = inbox.claim_pending("other:2:run", anything)
    assert batch.requests == () and [each.id for each in batch.forgotten] == ["style-blob"]
    assert inbox.state("style-noto").label == "nothing to remove"  # of the base, and so of what is made from it
    assert inbox.retry("style-noto").label == "pending" and ids(inbox) == ["style-noto"]


def test_nothing_to_remove_holds_for_a_version_and_what_is_made_from_it(inbox: Inbox) -> None:
    for name in ("noto", "blob"):
        inbox.file(kind="style", target=name)
    for made in (crowning(1, None), crowning(2, 1), crowning(3, 2)):
        inbox.champions.crown(made)
    ids(inbox)
    inbox.close_absent("style-noto", absence(3))
    inbox.close_absent("style-blob", absence(2))
    inbox.champions.crown(crowning(4, 3))
    assert {each.state.label for each in inbox.requests()} == {"nothing to remove"}
    inbox.champions.crown(crowning(2, 4, why="roll-back"))
    assert {each.id: each.state.label for each in inbox.requests()} == {
        "style-noto": "pending",
        "style-blob": "nothing to remove",
    }
    state = inbox.state("style-noto")
    assert state.reason == "the champion, version 2, was not made from version 3" and state.absence is None
    assert ids(inbox) == ["style-noto"]


def test_what_is_fulfilled_while_the_inbox_is_read_does_not_seem_reopened(
    inbox: Inbox, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the champion log and the states another run crowns and closes."""
    for name in ("noto", "blob"):
        inbox.file(kind="style", target=name)
    ids(inbox)
    fulfil(inbox, "style-noto")
    real = inbox.champions.current

    def meanwhile():
        found = real()
        monkeypatch.undo()
        fulfil(Inbox(open_store(folder), clock=clock), "style-blob")
        return found

    monkeypatch.setattr(inbox.champions, "current", meanwhile)
    assert inbox.state("style-blob").label == "claimed"
    assert inbox.state("style-blob").label == "fulfilled"
    assert [event.status for event in inbox.state("style-blob").history] == ["claimed", "fulfilled"]


def test_a_request_waits_for_an_approval_until_it_is_overtaken_or_too_late(inbox: Inbox, clock: Clock) -> None:
    for name in ("noto", "blob", "flat"):
        inbox.file(kind="style", target=name)
    ids(inbox)
    for name, days in (("noto", 1), ("blob", 2), ("flat", 2)):
        until = clock.now + timedelta(days=days)
        inbox.wait(f"style-{name}", Wait(version=3, made_from=None, until=until), owner=FAR)
    assert inbox.state("style-noto").label == "waiting" and ids(inbox) == []
    clock.passes(days=1)
    assert ids(inbox) == ["style-noto"]
    assert inbox.state("style-noto").history[-2].reason == "nobody approved version 3 in time"
    inbox.champions.crown(crowning(3, None, ("style-blob",)))
    assert inbox.close("style-blob", "fulfilled").label == "fulfilled"
    inbox.champions.crown(crowning(4, 3))
    assert "style-flat" in ids(inbox)
    assert inbox.state("style-flat").history[-2].reason == "version 3 was overtaken by version 4"


def test_without_a_log_what_was_fulfilled_stays_so(inbox: Inbox, folder: Path) -> None:
    """A log that is younger than the states begins with the champion that is found."""
    inbox.file(kind="style", target="noto")
    ids(inbox)
    fulfil(inbox, "style-noto")
    (folder / ".models/expunge-zoo/champions/000001.json").unlink()
    assert inbox.state("style-noto").label == "fulfilled" and ids(inbox) == []


def test_states_of_an_earlier_layout_are_not_overlooked(inbox: Inbox, folder: Path) -> None:
    drop(folder, "style-noto.yaml")
    (folder / ".state" / "style-noto").mkdir(parents=True)
    drop(folder, ".state/style-noto/000001.json", "{}")
    with pytest.raises(
        ExpungeError, match=r"its states lie in \.state/, .*mkdir -p \.models/expunge-zoo/requests/ && mv"
    ):
        inbox.requests()


def test_closing_and_asking_for_what_is_not_there(inbox: Inbox) -> None:
    inbox.file(kind="style", target="noto")
    for call, message in [
        (lambda: inbox.close("style-noto", "failed"), "request 'style-noto' is pending; only a claimed"),
        (
            lambda: inbox.close("style-noto", "done"),
            "outcome: got 'done'; allowed are fulfilled, failed, rejected",
        ),
        (lambda: inbox.close("other", "failed"), "no request 'other' in the inbox. It holds: style-noto"),
        (lambda: inbox.state("../x"), "no request '../x'"),
    ]:
        with pytest.raises(ExpungeError, match=message):
            call()


def test_a_damaged_state_is_named(inbox: Inbox, folder: Path) -> None:
    inbox.file(kind="style", target="noto")
    ids(inbox)
    (folder / ".models/expunge-zoo/requests/style-noto/000001.json").write_text("{")
    with pytest.raises(ExpungeError, match=r"'\.models/expunge-zoo/requests/style-noto/000001\.json' is no state"):
        inbox.requests()


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "inbox")
    request.getfixturevalue("s3_server")
    return f"s3://expunge/{uuid.uuid4().hex}"


def test_the_whole_life_in_either_store(place: str, picture: Path) -> None:
    inbox = Inbox(open_store(place))
    filed = inbox.file(kind="images", target="cat", pictures=[picture]).request
    assert inbox.claim_pending(FAR, drawn).requests == (filed,)
    assert next(inbox.pictures(filed)).shape == (7, 9, 3)
    assert Inbox(open_store(place)).claim_pending("other:2:run", drawn).requests == ()
    fulfil(inbox, filed.id, {"ua": 1.0})
    state = Inbox(open_store(place)).state(filed.id)
    assert state.label == "fulfilled" and state.certificate == {"ua": 1.0}
    assert not inbox.file(kind="images", target="cat", pictures=[picture]).created


def test_of_many_threads_one_claims(place: str) -> None:
    count = 3 if place.startswith("s3") else 8
    Inbox(open_store(place)).file(kind="style", target="noto")
    start, batches = threading.Barrier(count), []

    def claim(number: int) -> None:
        inbox = Inbox(open_store(place))
        start.wait()
        batches.append(inbox.claim_pending(f"far-away:{number}:run", anything).requests)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(batch) for batch in batches) == [0] * (count - 1) + [1]


CLAIMANT = """
import sys
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import NotHeld, Wait
from expunge.takedown.owner import this_owner
from expunge.takedown.object_store import open_store
inbox = Inbox(open_store(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
batch = inbox.claim_pending(this_owner("run"), lambda batch: {})
print(",".join(request.id for request in batch.requests), flush=True)
sys.stdin.readline()
"""


def claimant(place: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIMANT, place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def claims_of(process: subprocess.Popen) -> list[str]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return [id for id in process.stdout.readline().strip().split(",") if id]


def test_of_many_processes_each_request_has_one(folder: Path) -> None:
    for number in range(12):
        drop(folder, f"request-{number:02d}.yaml")
    processes = [claimant(str(folder)) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    claims = [claim for process in processes for claim in process.stdout.readline().strip().split(",") if claim]
    assert sorted(claims) == [f"request-{number:02d}" for number in range(12)]
    for process in processes:
        process.communicate("end\n")


def test_after_kill_minus_nine_another_takes_over(place: str) -> None:
    inbox = Inbox(open_store(place))
    inbox.file(kind="style", target="noto")
    process = claimant(place)
    assert claims_of(process) == ["style-noto"]
    assert ids(inbox) == []  # it lives, so its claim holds
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert ids(inbox) == ["style-noto"]
    state = inbox.state("style-noto")
    assert state.claim is not None and state.claim.owner == FAR
    assert state.history[-1].reason.startswith("taken over from ")
