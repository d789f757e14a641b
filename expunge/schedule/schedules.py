"""A schedule: its name, its times and what it starts; installed in one of two places, found again in either."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from expunge.errors import ExpungeError
from expunge.schedule.retraining import STATE, Retraining
from expunge.schedule.timing import Timing, parse_timing

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}", re.ASCII)
MARK = "# expunge-schedule "


@dataclass(frozen=True)
class Schedule:
    """What is to be installed."""

    name: str
    timing: Timing
    retraining: Retraining

    def __post_init__(self) -> None:
        check_name(self.name)

    def mark(self) -> str:
        """The comment by which it is found again."""
        return MARK + Facts(self.name, self.timing.cron, self.timing.timezone, str(self.retraining.folder)).as_json()

    def make_room(self) -> None:
        """Make the folder of its log."""
        (self.retraining.folder / STATE).mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class Facts:
    """What a place tells of a schedule that is installed there."""

    name: str
    cron: str
    timezone: str
    folder: str

    def as_json(self) -> str:
        """In one line of ASCII."""
        return json.dumps(asdict(self), sort_keys=True)

    def next_times(self, count: int) -> list[datetime]:
        """When it fires next, in its own zone."""
        return parse_timing(self.cron, self.timezone).next_times(count, datetime.now(UTC))


def read_mark(line: str, place: str) -> Facts:
    """The facts in a comment that ``Schedule.mark`` wrote.

    Raises:
        ExpungeError: it was changed.
    """
    try:
        return Facts(**json.loads(line.removeprefix(MARK)))
    except (ValueError, TypeError) as error:
        raise ExpungeError(
            f"{place}: the line {line[:60]!r} was changed by hand; take it and its block out."
        ) from error


def check_name(name: str) -> str:
    """The name, if a crontab's comment and a unit's file name take it; raises ExpungeError if not."""
    if not NAME.fullmatch(name):
        raise ExpungeError(f"name: {name[:60]!r} given; a name has 1 to 41 lower-case letters, digits and hyphens.")
    return name


def check_folder(found: Facts | None, schedule: Schedule) -> None:
    """Raise ExpungeError if a schedule of that name is another project's."""
    if found and found.folder != str(schedule.retraining.folder):
        raise ExpungeError(
            f"name: schedule '{found.name}' belongs to {found.folder}; choose another with --name, "
            f"or remove that one: expunge schedule remove --name {found.name}"
        )
