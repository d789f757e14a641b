"""At which times: a cron expression and a time zone, checked, foretold, and said in systemd's words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from croniter import CroniterError, croniter

from expunge.errors import ExpungeError

DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Cron's own grammar. The library knows more (seconds, "L", "#", hashed times), which no crontab takes.
_POINT = r"(?:\d{1,2}|[A-Za-z]{3})"
_PART = rf"(?:{_POINT}|(?:\*|{_POINT}-{_POINT})(?:/\d{{1,2}})?)"
FIELD = re.compile(rf"{_PART}(?:,{_PART})*", re.ASCII)
LOCAL_TIME = Path("/etc/localtime")


@dataclass(frozen=True)
class Timing:
    """Times of a schedule; see ``parse_timing``.

    Attributes:
        cron: five fields, one space apart.
        timezone: an IANA name, or empty for the machine's own zone.
    """

    cron: str
    timezone: str = ""

    @property
    def zone(self) -> tzinfo:
        """The zone itself."""
        return ZoneInfo(self.timezone) if self.timezone else machine_zone()

    def next_times(self, count: int, after: datetime) -> list[datetime]:
        """The next times after a time with a zone, in the schedule's zone."""
        # As cron itself: both kinds of day must fit if one of them begins with "*", else either.
        times = croniter(self.cron, after.astimezone(self.zone), ret_type=datetime, implement_cron_bug=True)
        return [times.get_next() for _ in range(count)]

    def calendars(self) -> list[str]:
        """The same times as calendar events of systemd, which fire at each of them."""
        minutes, hours, days, months, weekdays = croniter.expand(self.cron)[0]
        dates, clock = f"*-{_listed(months)}-{_listed(days)}", f"{_listed(hours)}:{_listed(minutes)}:00"
        names = "" if "*" in weekdays else ",".join(DAYS[int(day)] for day in weekdays) + " "
        end = f"{clock} {self.timezone}".strip()
        either_day = not any(field.startswith("*") for field in self.cron.split()[2::2])
        if not either_day:
            return [f"{names}{dates} {end}"]
        return [f"{dates} {end}", f"{names}*-{_listed(months)}-* {end}"]

    def runs_by(self, zone: tzinfo) -> bool:
        """Whether another zone's clocks show the same as this one's, throughout the year to come."""
        now = datetime.now(UTC)
        hours = (now + timedelta(hours=hour) for hour in range(366 * 24))
        return all(hour.astimezone(self.zone).utcoffset() == hour.astimezone(zone).utcoffset() for hour in hours)


def parse_timing(cron: str, timezone: str = "") -> Timing:
    """Check an expression and a zone.

    Args:
        cron: minute, hour, day of the month, month, day of the week, as in a crontab: ``0 3 * * mon-fri``.
        timezone: an IANA name such as ``Europe/Berlin``; empty for the machine's own zone.

    Raises:
        ExpungeError: one of them is none, or the times never come.
    """
    fields = cron.split()
    if len(fields) != 5 or not all(FIELD.fullmatch(field) for field in fields):
        raise ExpungeError(
            f"cron: {cron[:80]!r} given; write five fields, minute, hour, day, month and weekday, e.g. '0 3 * * *'."
        )
    for start, end in re.findall(rf"({_POINT})-({_POINT})", cron):
        if _number(start) > _number(end):  # the library goes round, cron takes it and never fires
            raise ExpungeError(f"cron: {start}-{end} given, which ends before it starts; write two ranges, or a list.")
    if timezone and timezone not in (known := available_timezones()):
        near = get_close_matches(timezone, known, 1)
        raise ExpungeError(
            f"timezone: {timezone[:80]!r} given; write a name of the time zone database, e.g. "
            f"'{near[0] if near else 'Europe/Berlin'}'."
        )
    timing = Timing(" ".join(fields), timezone)
    try:
        timing.next_times(1, datetime.now(timing.zone))
    except CroniterError as error:
        raise ExpungeError(f"cron: {cron[:80]!r} given, which is no time that comes: {error}.") from error
    return timing


def machine_zone() -> tzinfo:
    """The zone of the machine, by which cron runs whatever ``TZ`` says; UTC if none is set."""
    try:
        with LOCAL_TIME.open("rb") as file:
            return ZoneInfo.from_file(file, key="local time")
    except FileNotFoundError:
        return ZoneInfo("UTC")


def _number(point: str) -> int:
    """Of a day or a month in words; any other word counts as 0 and is refused by the library."""
    names = {name.lower(): number for each in (DAYS, MONTHS) for number, name in enumerate(each)}
    return int(point) if point.isdecimal() else names.get(point.lower(), 0)


def _listed(values: Sequence[int | str]) -> str:
    return "*" if "*" in values else ",".join(f"{int(value):02d}" for value in values)
