"""Times: what is none is refused; what is foretold is what systemd foretells."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from expunge.errors import ExpungeError
from expunge.schedule.timing import parse_timing

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "cron",
    ["", "0 3 * *", "0 3 * * * *", "61 * * * *", "* 24 * * *", "* * 0 * *", "* * * foo *", "0 0 31 2 *", "@daily"]
    + ["* * L * *", "* * * * 5#2", "H * * * *", "R * * * *", "5/10 * * * *", "*/0 * * * *", "0 3 * * *\n* * * * *"]
    + ["0 3 * * * rm", "% * * * *", "٣ * * * *"],
)
def test_an_expression_that_is_none_is_refused_in_one_line(cron: str) -> None:
    with pytest.raises(ExpungeError, match="^cron: .*") as error:
        parse_timing(cron)
    assert "\n" not in str(error.value) and repr(cron[:80]) in str(error.value)


@pytest.mark.parametrize(
    ("cron", "given"), [("0 22-2 * * *", "22-2"), ("0 3 * * sat-sun", "sat-sun"), ("0 3 * Dec-2 *", "Dec-2")]
)
def test_a_range_that_goes_round_is_refused_as_cron_would_never_fire(cron: str, given: str) -> None:
    with pytest.raises(ExpungeError, match=f"^cron: {given} given, which ends before it starts"):
        parse_timing(cron)


@pytest.mark.parametrize("zone", ["Mars/Base", "Europe", "../../etc/passwd", "/etc/localtime", "CEST+1", " UTC", "\0"])
def test_a_time_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ExpungeError, match="^timezone: .* write a name of the time zone database"):
        parse_timing("0 3 * * *", zone)


def test_a_misspelt_zone_is_told_its_name() -> None:
    with pytest.raises(ExpungeError, match="'Europe/Berlin'"):
        parse_timing("0 3 * * *", "Europe/Berln")


def test_times_keep_the_clock_when_summer_ends() -> None:
    times = parse_timing("0 3 * * *", "Europe/Berlin").next_times(3, datetime(2026, 10, 23, 12, tzinfo=UTC))
    assert [time.hour for time in times] == [3, 3, 3]
    assert [time.astimezone(UTC).hour for time in times] == [1, 2, 2]


def test_zones_with_the_same_clock() -> None:
    assert parse_timing("0 3 * * *", "Europe/Paris").runs_by(BERLIN)
    assert not parse_timing("0 3 * * *", "Africa/Lagos").runs_by(BERLIN)  # the same in winter alone


# With either kind of day, both kinds, and a "*" that makes both necessary.
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze; Debian: apt install systemd")
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "cron",
    ["*/7 * * * *", "0 3 * * *", "15,45 9-17 * * mon-fri", "0 0 1,15 * 1", "30 4 */2 * sun", "0 12 29 2 *"]
    + ["5 5 * jan,jul sat,sun", "0 0 13 * 5-7", "59 23 31 * *", "0 6 * * */2"],
)
def test_systemd_foretells_the_same(cron: str, zone: str) -> None:
    timing = parse_timing(cron, zone)
    told = []
    for calendar in timing.calendars():
        done = subprocess.run(
            ["systemd-analyze", "calendar", "--iterations=6", "--base-time=2026-11-30 00:00:00 UTC", calendar],
            capture_output=True,
            text=True,
            env=os.environ | {"TZ": "UTC", "LC_ALL": "C"},
        )
        assert done.returncode == 0, done.stderr
        told += re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d):00 UTC", re.sub(r"(?m)^ *Normalized form.*", "", done.stdout))
    expected = timing.next_times(6, datetime(2026, 11, 30, tzinfo=UTC))
    assert sorted(set(told))[:6] == [f"{time.astimezone(UTC):%Y-%m-%d %H:%M}" for time in expected]
