"""The champion log: one winner for each place, on top of the right version, and everything follows from it."""

import json
import tempfile
import threading
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.takedown import folder_store
from expunge.takedown.champion_log import ChampionLog, Overtaken
from expunge.takedown.object_store import open_store
from tests.takedown.champions import crowning


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "inbox")
    request.getfixturevalue("s3_server")
    return f"s3://expunge/{uuid.uuid4().hex}"


@pytest.fixture
def log(place: str) -> ChampionLog:
    return ChampionLog(open_store(place), "a model")


def test_before_the_first_promotion_there_is_nothing(log: ChampionLog) -> None:
    assert log.current() is None and log.former() is None and log.entries() == [] and log.periods() == {}
    assert log.line(None) == {None}


def test_crownings_stand_on_each_other(log: ChampionLog) -> None:
    first, second = crowning(1, None, ("a",)), crowning(4, 1, ("b",))
    assert log.crown(first) == first and log.crown(second) == second
    assert log.entries() == [first, second] and log.current() == second and log.former() == 1
    assert log.covered_by(1) == {"a"} and log.covered_by(4) == {"a", "b"} and log.covered_by(3) == set()
    periods = log.periods()
    assert periods[1][0].until == periods[4][0].since == second.at and periods[4][0].until is None


def test_a_second_time_it_changes_nothing(log: ChampionLog) -> None:
    first = log.crown(crowning(1, None))
    assert log.crown(crowning(1, None)) == first and len(log.entries()) == 1


def test_what_was_made_from_another_version_is_overtaken(log: ChampionLog) -> None:
    with pytest.raises(
        Overtaken, match="version 2 of a model cannot become champion: it was made from version 1, the champion is none"
    ):
        log.crown(crowning(2, 1))
    log.crown(crowning(1, None))
    with pytest.raises(Overtaken, match="made from none, the champion is version 1"):
        log.crown(crowning(3, None))
    assert [each.version for each in log.entries()] == [1]


def test_a_version_rolled_back_from_is_not_gone_back_to(log: ChampionLog) -> None:
    log.crown(crowning(1, None))
    log.crown(crowning(2, 1))
    log.crown(crowning(1, 2, why="roll-back"))
    assert log.former() is None
    log.crown(crowning(3, 1))
    assert log.former() == 1
    assert log.line(3) == {3, 1, None} and log.line(2) == {2, 1, None}
    assert [len(log.periods()[version]) for version in (1, 2, 3)] == [2, 1, 1]


def test_of_many_at_once_one_wins(place: str) -> None:
    ChampionLog(open_store(place), "m").crown(crowning(1, None))
    start, won, lost = threading.Barrier(6), [], []

    def crown(version: int) -> None:
        log = ChampionLog(open_store(place), "m")
        start.wait()
        try:
            won.append(log.crown(crowning(version, 1)).version)
        except Overtaken:
            lost.append(version)

    threads = [threading.Thread(target=crown, args=(version,)) for version in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = ChampionLog(open_store(place), "m").entries()
    assert len(won) == 1 and len(lost) == 5 and [each.version for each in entries] == [1, *won]


@settings(max_examples=50, deadline=None)
@given(
    moves=st.lists(st.one_of(st.sets(st.sampled_from("abcdefgh"), max_size=3), st.sampled_from(["back", "late"]))),
    old=st.integers(0, 12),
)
def test_reading_back_gives_what_listing_everything_gives(moves: list[set[str] | str], old: int) -> None:
    """Promotions that add some, roll-backs, and promotions that come too late; the first entries are of format 1."""
    with tempfile.TemporaryDirectory() as folder:
        log = ChampionLog(open_store(folder), "m")
        line: list[int] = []  # the champion, and what it was made from: the last is the champion
        listed: dict[int, set[str]] = {}  # everything that each version has forgotten
        number = 0
        for move in moves:
            champion = line[-1] if line else None
            if move == "late":
                with pytest.raises(Overtaken):
                    log.crown(crowning(number + 100, number + 50, ("z",)))
                continue
            if move == "back":
                if len(line) < 2:
                    continue
                line.pop()
                made = crowning(line[-1], champion, why="roll-back")
            else:
                number += 1
                line.append(number)
                listed[number] = {*move, *listed.get(champion or 0, set())}
                made = crowning(number, champion, tuple(move))
            log.crown(made)
            path = Path(folder, f".models/m/champions/{len(log.entries()):06d}.json")
            if len(log.entries()) <= old:  # as it was written before
                written = json.loads(path.read_text(encoding="utf-8"))
                del written["adds"]
                whole = written | {"format_version": 1, "covers": sorted(listed[made.version])}
                path.write_text(json.dumps(whole), encoding="utf-8")
            assert log.covered_by(made.version) == listed[made.version]
        anew = ChampionLog(open_store(folder), "m")
        assert {version: anew.covered_by(version) for version in listed} == listed
        assert (anew.current() and anew.current().version) == (line[-1] if line else None)


def test_a_log_of_300_000_requests_is_read_and_its_entries_stay_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_store, "_SETTLED", 0)  # no waiting until a file is two seconds old
    log, ids = ChampionLog(open_store(tmp_path), "m"), [f"style-artist-{number}" for number in range(300_000)]
    before = None
    for version, begin in enumerate(range(0, len(ids), 7500), 1):
        log.crown(crowning(version, before, tuple(ids[begin : begin + 7500])))
        before = version
    assert before == 40 and log.covered_by(40) == set(ids) and log.covered_by(39) == set(ids[:-7500])
    assert max(each.stat().st_size for each in tmp_path.glob(".models/m/champions/*")) < 200_000
    index = tmp_path / ".models/m/index/champions.json"  # so that not all are read again each time
    assert index.exists() and ChampionLog(open_store(tmp_path), "m").covered_by(40) == set(ids)
    index.unlink()
    assert ChampionLog(open_store(tmp_path), "m").covered_by(40) == set(ids)


def test_a_crowning_that_nobody_could_read_is_not_written(tmp_path: Path) -> None:
    log = ChampionLog(open_store(tmp_path), "m")
    with pytest.raises(ExpungeError, match="version 1 of m adds 300,000 requests, more than an entry of 4,000,000"):
        log.crown(crowning(1, None, tuple(f"style-artist-{number}" for number in range(300_000))))
    assert log.entries() == []


def test_models_have_logs_of_their_own_and_a_damaged_entry_is_named(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    log, other = ChampionLog(store, "a"), ChampionLog(store, "b")
    log.crown(crowning(1, None))
    assert other.current() is None
    (tmp_path / ".models/a/champions/000001.json").write_text("{", encoding="utf-8")
    with pytest.raises(ExpungeError, match=r"'\.models/a/champions/000001\.json' is no crowning"):
        log.current()
