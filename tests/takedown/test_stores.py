"""One contract, two stores: a folder and a real S3 server."""

import os
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.takedown import folder_store
from expunge.takedown.folder_store import FolderStore
from expunge.takedown.object_store import AlreadyExists, MissingKey, Store, StoreUnreachable, check_key, open_store
from expunge.takedown.s3_store import S3Store

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


def test_a_shallow_list_stays_above(store: Store) -> None:
    for key in ("b.yaml", "a/two.png", "a/deep/one.png", ".models/m/x.json"):
        store.create(key, b"")
    assert store.list(deep=False) == ["b.yaml"]
    assert store.list("a/", deep=False) == ["a/two.png"]


def test_a_stamp_is_another_one_once_the_object_was_written_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_store, "_SETTLED", 0)
    for key in ("a.yaml", "b.yaml", "c/d"):
        store.create(key, b"first")
    before = store.stamps()
    assert [*before] == store.list() and all(before.values()) and store.stamps() == before
    assert store.stamps("c/") == {"c/d": before["c/d"]} and [*store.stamps(deep=False)] == ["a.yaml", "b.yaml"]
    store.replace("a.yaml", b"other")
    after = store.stamps()
    assert after["a.yaml"] != before["a.yaml"] and after["b.yaml"] == before["b.yaml"]


def test_what_is_deleted_is_gone_and_need_not_have_been_there(store: Store) -> None:
    store.create("a/b", b"")
    store.delete("a/b")
    store.delete("a/b")
    store.delete("c/d")
    assert store.list() == []


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


# S3 only


def test_odd_keys_and_many_pages_are_listed(s3_server: str) -> None:
    store = open_store(f"s3://expunge/{uuid.uuid4().hex}")
    keys = ["a b.yaml", "a&b<c>.yaml", "a+b.yaml", "ä.yaml", "a%20b.yaml", 'a"b.yaml']
    for key in keys:
        store.create(key, b"")
    assert store.list() == sorted(keys)
    paginated = store._client.get_paginator("list_objects_v2").paginate(
        Bucket="expunge", Prefix=store._prefix, PaginationConfig={"PageSize": 2}
    )
    assert [len(page["Contents"]) for page in paginated] == [2, 2, 2]


@pytest.mark.parametrize("body", [b"<ListBucketResult><Contents><Key>a</Key>", b"busy"])
def test_a_listing_that_was_cut_short_is_the_stores_fault(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    store = S3Store("s3://bucket/x")

    class Body(BytesIO):
        def stream(self) -> list[bytes]:
            return [self.read()]

    def answer(request: AWSRequest, **_: object) -> AWSResponse:
        return AWSResponse(request.url, 200, {}, Body(body))

    store._client.meta.events.register("before-send.s3.ListObjectsV2", answer)
    with pytest.raises(StoreUnreachable, match=r"s3://bucket/x: .*\(500\).*Internal Server Error"):
        store.list()


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


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("", "inbox: is empty"),
        ("  ", "inbox: is empty"),
        ("~nobody-of-that-name/inbox", "inbox: got '~nobody-of-that-name/inbox'; whose home that is cannot be found"),
    ],
)
def test_places_that_are_none(place: str, said: str) -> None:
    with pytest.raises(ExpungeError, match=said):
        open_store(place)


def test_a_path_that_is_too_long_is_said_in_one_line(tmp_path: Path) -> None:
    for method in (lambda s: s.list(), lambda s: s.read("a", 1), lambda s: s.create("a", b"")):
        with pytest.raises(ExpungeError, match="File name too long"):
            method(open_store(tmp_path / ("a" * 300)))


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AWS settings of one's own: yields the configuration file, which is not there yet."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path / "config"


def meta(url: str = "s3://bucket/x"):
    return S3Store(url)._client.meta


def test_region_and_endpoint_are_read_from_the_configuration(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert meta().region_name == "us-east-1" and meta().config.s3["addressing_style"] == "auto"
    aws.write_text("[default]\nregion = eu-garage-1\nendpoint_url = http://localhost:3900\n")
    assert meta().region_name == "eu-garage-1" and meta().endpoint_url == "http://localhost:3900"
    assert meta().config.s3["addressing_style"] == "path"
    services = "[default]\nregion = x\nservices = mine\n[services mine]\ns3 =\n  endpoint_url = http://host:1\n"
    aws.write_text(services)
    assert meta().endpoint_url == "http://host:1"
    aws.write_text("[default]\nregion = x\n[profile other]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert meta().region_name == "eu-west-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert meta().region_name == "eu-north-1"
    monkeypatch.setenv("AWS_REGION", "eu-south-1")
    assert meta().region_name == "eu-south-1"


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize("address", ["localhost:9000", "not an address", "http://"])
def test_an_endpoint_that_is_no_address_is_one_line(aws: Path, monkeypatch, name: str, address: str) -> None:
    monkeypatch.setenv(name, address)
    with pytest.raises(ExpungeError, match="s3://bucket/x: .*write .*http://HOST:PORT") as error:
        open_store("s3://bucket/x")
    assert "\n" not in str(error.value)


def test_a_profile_that_is_not_there_and_a_configuration_that_is_none(aws: Path, monkeypatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ExpungeError, match=r"s3://bucket/x: .*profile \(nobody\).*check the endpoint"):
        open_store("s3://bucket/x")
    monkeypatch.delenv("AWS_PROFILE")
    aws.write_text("no configuration")
    with pytest.raises(ExpungeError, match="s3://bucket/x: .*config"):
        open_store("s3://bucket/x")


def test_each_store_sees_the_credentials_of_its_day(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(store: S3Store) -> str:
        return store._client._request_signer._credentials.access_key

    credentials = aws.with_name("credentials")
    for name in ("first", "second"):
        credentials.write_text(f"[default]\naws_access_key_id = {name}\naws_secret_access_key = secret\n")
        assert key(S3Store("s3://bucket/x")) == name
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "third")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert key(S3Store("s3://bucket/x")) == "third"


@given(st.text(max_size=40))
def test_a_key_that_passes_stays_below_the_root(key: str) -> None:
    try:
        check_key(key)
    except ExpungeError:
        return
    root = Path("/srv/inbox")
    resolved = Path(os.path.normpath(root / key))
    assert resolved.is_relative_to(root) and resolved != root and "\0" not in key
