"""An S3 server that fails: what a store does then, alone."""

import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from expunge.takedown.object_store import AlreadyExists, StoreUnreachable
from expunge.takedown.s3_store import S3Store
from tests.infra.faulty_proxy import Fault, FaultyProxy

pytestmark = pytest.mark.slow


@pytest.fixture
def proxy(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """Between a store that is opened now and the server."""
    port = urlsplit(s3_server).port
    assert port
    with FaultyProxy(port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("AWS_MAX_ATTEMPTS", raising=False)
        yield proxy


@pytest.fixture
def store(proxy: FaultyProxy, request: pytest.FixtureRequest) -> S3Store:
    return S3Store(f"s3://expunge/{request.node.name.partition('[')[0]}")


@pytest.mark.parametrize("fault", [Fault.GONE, Fault.ERRORS, Fault.UNANSWERED])
def test_a_command_says_what_is_wrong_in_one_line(proxy: FaultyProxy, store: S3Store, fault: Fault) -> None:
    store.replace("one", b"1")
    proxy.begin(fault)
    with pytest.raises(StoreUnreachable, match="^s3://expunge/test_a_command") as told:
        store.read("one", 10)
    assert "\n" not in str(told.value)
    proxy.end()
    assert store.read("one", 10) == b"1"


@pytest.mark.parametrize("fault", [Fault.GONE, Fault.ERRORS, Fault.UNANSWERED])
def test_a_patient_run_waits(proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    import steps  # noqa: F401  sets what a run waits

    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "18")
    store = S3Store("s3://expunge/patient")
    proxy.begin(fault, times=5)
    if fault is Fault.GONE:
        threading.Timer(6.0, proxy.end).start()
    assert store.list() == []
    assert proxy.hits == 5 or fault is Fault.GONE


def test_what_breaks_off_is_read_again(proxy: FaultyProxy, store: S3Store) -> None:
    store.create("long", bytes(100_000))
    proxy.begin(Fault.TRUNCATED, times=2)
    assert store.read("long", 100_000) == bytes(100_000)
    assert proxy.hits == 2
    proxy.begin(Fault.TRUNCATED)
    with pytest.raises(StoreUnreachable, match="s3://expunge/test_what_breaks_off"):
        store.read("long", 100_000)


def test_what_was_written_though_no_answer_came_is_ours(proxy: FaultyProxy, store: S3Store) -> None:
    proxy.begin(Fault.UNANSWERED)
    with pytest.raises(StoreUnreachable):
        store.create("lost", b"ours")
    proxy.end()
    assert store.read("lost", 10) == b"ours"  # so a repeated attempt finds it taken

    proxy.begin(Fault.UNANSWERED, times=1)
    store.create("repeated", b"ours")
    assert store.read("repeated", 10) == b"ours"

    store.create("taken", b"of another")
    proxy.begin(Fault.UNANSWERED, times=1)
    with pytest.raises(AlreadyExists):
        store.create("taken", b"ours")
    assert store.read("taken", 10) == b"of another"
