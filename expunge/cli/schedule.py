"""``expunge schedule``: start ``expunge retrain`` by cron or by systemd."""

from datetime import datetime
from pathlib import Path

import click

from expunge.cli.output import as_json, print_json, print_table, say
from expunge.errors import ExpungeError

NAME = click.option("--name", default="retrain", show_default=True, help="Tells schedules apart.")


@click.group()
def schedule() -> None:
    """Retrain at set times: install, show and remove schedules."""


@schedule.command()
@click.option("--cron", required=True, help="Minute, hour, day, month and weekday, e.g. '0 3 * * *'.")
@click.option("--timezone", default="", help="E.g. Europe/Berlin. [default: the machine's own]")
@click.option("--systemd", is_flag=True, help="A timer of your systemd instead of a line in your crontab.")
@NAME
@click.option("--config", type=click.Path(path_type=Path), help="Handed on to expunge retrain.")
@click.option("--env-file", type=click.Path(path_type=Path), help="NAME=VALUE lines, read at each start; mode 0600.")
def install(cron: str, timezone: str, systemd: bool, name: str, config: Path | None, env_file: Path | None) -> None:
    """Run expunge retrain from this folder at set times."""
    from expunge.schedule import crontab, timer_unit
    from expunge.schedule.retraining import LOG, plan_retraining
    from expunge.schedule.schedules import Schedule
    from expunge.schedule.timing import parse_timing

    wanted = Schedule(name, parse_timing(cron, timezone), plan_retraining(Path.cwd(), config, env_file))
    other = crontab if systemd else timer_unit
    if name in [each.name for each in _found(other.PLACE)]:
        raise ExpungeError(
            f"name: schedule '{name}' is installed in {other.PLACE}, and would run twice; "
            f"remove it first: expunge schedule remove --name {name}"
        )
    if systemd:
        if not timer_unit.install(wanted):
            say("Your systemd does not run here: the timer starts at your next login.")
        say("A timer of yours runs while you are logged in; to have it run always: loginctl enable-linger")
    else:
        crontab.install(wanted)
    place = (timer_unit if systemd else crontab).PLACE
    first = wanted.timing.next_times(1, datetime.now().astimezone())[0]
    say(f"Installed '{name}' in {place}; runs next at {_minute(first)}, output in {wanted.retraining.folder / LOG}.")


@schedule.command()
@as_json
def show(machine: bool) -> None:
    """Show what is installed, and when it runs next."""
    rows = [(place, facts) for place in ("crontab", "systemd") for facts in _found(place)]
    if machine:
        shown = [
            {"place": place, **vars(facts), "next": [each.isoformat() for each in facts.next_times(3)]}
            for place, facts in rows
        ]
        print_json(shown)
    elif rows:
        print_table(
            ["name", "in", "cron", "time zone", "next", "folder"],
            [
                [facts.name, place, facts.cron, facts.timezone or "the machine's", _minute(facts.next_times(1)[0])]
                + [facts.folder]
                for place, facts in rows
            ],
        )
    else:
        say("No schedule is installed. For every night at three: expunge schedule install --cron '0 3 * * *'")


@schedule.command()
@NAME
def remove(name: str) -> None:
    """Remove a schedule; what runs now goes on."""
    from expunge.schedule import crontab, timer_unit
    from expunge.schedule.schedules import check_name

    check_name(name)
    removed = [each.PLACE for each in (crontab, timer_unit) if each.remove(name)]
    if not removed:
        raise ExpungeError(f"name: no schedule '{name}' is installed; see: expunge schedule show")
    say(f"Removed '{name}' from {' and '.join(removed)}.")


def _found(place: str) -> list:
    from expunge.schedule import crontab, timer_unit

    if place == timer_unit.PLACE:
        return timer_unit.installed()
    return crontab.installed() if crontab.is_here() else []


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M %Z}"
