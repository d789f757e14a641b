"""One contract, two stores: a folder and a real S3 server."""

import os
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.takedown.folder_store import FolderStore
from expunge.takedown.object_store import AlreadyExists, MissingKey, Store, check_key, open_store

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "inbox")
    request.getfixturevalue("s3_server")
    return f"s3://expunge/{uuid.uuid4().hex}/inbox"


@pytest.fixture
def store(place: str) -> Store:
    return open_store(place)


def test_an_empty_store_lists_nothing(store: Store) -> None:
    assert store.list() == [] and store.list("a/") == []


def test_what_is_created_is_read_back_and_listed(store: Store) -> None:
    for key in ("b.yaml", "a.yaml", "a/two.png", "a/one.png", ".state/a/000001.json", "ab.yaml"):
        store.create(key, key.encode())
    assert store.list() == sorted(["b.yaml", "a.yaml", "a/two.png", "a/one.png", ".state/a/000001.json", "ab.yaml"])
    assert store.list("a/") == ["a/one.png", "a/two.png"]
    assert store.list("a") == ["a.yaml", "a/one.png", "a/two.png", "ab.yaml"]
    assert store.read("a/two.png", 100) == b"a/two.png"


def test_create_never_overwrites(store: Store) -> None:
    store.create("a", b"first")
    with pytest.raises(AlreadyExists, match="'a' exists already"):
        store.create("a", b"second")
    assert store.read("a", 10) == b"first"


def test_replace_overwrites_and_creates(store: Store) -> None:
    store.replace("x/a", b"first")
    store.replace("x/a", b"second")
    assert store.read("x/a", 10) == b"second" and store.list() == ["x/a"]


def test_what_is_missing_is_said(store: Store) -> None:
    store.create("a", b"")
    for method in (lambda: store.read("b", 10), lambda: store.modified("b"), lambda: store.read("c/d", 10)):
        with pytest.raises(MissingKey, match="there is no '"):
            method()


def test_more_than_the_limit_is_not_read(store: Store) -> None:
    store.create("a", b"x" * 101)
    with pytest.raises(ExpungeError, match="'a' has more than the 100 bytes"):
        store.read("a", 100)
    assert len(store.read("a", 101)) == 101


def test_modified_is_now_in_utc(store: Store) -> None:
    store.create("a", b"")
    assert abs(store.modified("a") - datetime.now(UTC)) < timedelta(seconds=60)
    assert store.modified("a").microsecond == 0 and store.modified("a").tzinfo == UTC


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a\\b", "a\nb", "a\0", "x" * 201])
def test_keys_that_could_escape_are_refused(store: Store, key: str) -> None:
    for method in (
        lambda: store.read(key, 1),
        lambda: store.create(key, b""),
        lambda: store.replace(key, b""),
    ):
        with pytest.raises(ExpungeError, match="must be plain names"):
            method()
    assert store.list() == []


def test_of_many_threads_exactly_one_creates(store: Store) -> None:
    # The S3 server makes losers of a race wait for seconds.
    turns, writers = (20, 8) if isinstance(store, FolderStore) else (1, 4)
    won: list[int] = []
    start = threading.Barrier(writers)

    def race(number: int, key: str) -> None:
        start.wait()
        try:
            store.create(key, str(number).encode())
        except AlreadyExists:
            return
        won.append(number)

    for turn in range(turns):
        won.clear()
        threads = [threading.Thread(target=race, args=(number, f"key-{turn}")) for number in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1 and store.read(f"key-{turn}", 10) == str(won[0]).encode()


RACER = """
import sys
from expunge.takedown.object_store import AlreadyExists, open_store
store = open_store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    store.create("prize", sys.argv[2].encode())
    print("won", flush=True)
except AlreadyExists:
    print("lost", flush=True)
"""


def test_of_many_processes_exactly_one_creates(place: str, store: Store) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, place, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        for number in range(3)
    ]
    for racer in racers:
        assert racer.stdout is not None and racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    verdicts = [racer.communicate()[0].strip() for racer in racers]
    assert sorted(verdicts) == ["lost", "lost", "won"]
    assert store.read("prize", 10) == str(verdicts.index("won")).encode()


# Folders only


def test_links_are_refused_and_nothing_outside_is_touched(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    root = tmp_path / "inbox"
    root.mkdir()
    (root / "file.yaml").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "broken").symlink_to(outside / "new")
    store = FolderStore(root)
    for key in ("file.yaml", "folder/secret"):
        with pytest.raises(ExpungeError, match="symbolic link|Not a directory"):
            store.read(key, 100)
    with pytest.raises(ExpungeError):
        store.create("folder/new", b"x")
    with pytest.raises(AlreadyExists):
        store.create("broken", b"x")
    with pytest.raises(ExpungeError, match="symbolic link"):
        store.list("folder/")
    assert "file.yaml" in store.list() and "folder/secret" not in store.list()
    store.replace("file.yaml", b"new")
    assert (outside / "secret").read_text() == "secret" and store.read("file.yaml", 10) == b"new"
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_pipes_and_folders_are_no_objects(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    for key in ("pipe.yaml", "folder.yaml"):
        with pytest.raises(ExpungeError, match="no regular file"):
            FolderStore(tmp_path).read(key, 10)


def test_a_half_written_file_is_invisible(tmp_path: Path) -> None:
    (tmp_path / ".tmp-0123").write_text("half")
    store = FolderStore(tmp_path)
    store.create("a", b"whole")
    assert store.list() == ["a"]


def test_writing_leaves_no_temporary_file(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.create("a", b"1")
    store.replace("a", b"2")
    with pytest.raises(AlreadyExists):
        store.create("a", b"3")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "inbox").write_text("")
    for method in (lambda s: s.list(), lambda s: s.create("a", b"")):
        with pytest.raises(ExpungeError, match="inbox: "):
            method(FolderStore(tmp_path / "inbox"))


# Addresses


@pytest.mark.parametrize("url", ["http://host/inbox", "file:///tmp/inbox", "s3://", "s3:///prefix", "s3://b/../c"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ExpungeError):
        open_store(url)


@pytest.mark.slow
def test_a_bucket_that_is_not_there(s3_server: str) -> None:
    with pytest.raises(ExpungeError, match="s3://nowhere/x"):
        open_store("s3://nowhere/x").list()


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with pytest.raises(ExpungeError, match="check the endpoint"):
        open_store("s3://bucket/x").list()


@given(st.text(max_size=40))
def test_a_key_that_passes_stays_below_the_root(key: str) -> None:
    try:
        check_key(key)
    except ExpungeError:
        return
    root = Path("/srv/inbox")
    resolved = Path(os.path.normpath(root / key))
    assert resolved.is_relative_to(root) and resolved != root and "\0" not in key
