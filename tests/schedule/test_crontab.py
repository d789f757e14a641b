"""Schedules in a real crontab, fired by a real cron, in a mount namespace of their own."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from expunge.schedule.schedules import MARK

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
ALONE = "mount -t tmpfs none /var/spool && mkdir -p /var/spool/cron/crontabs && mount -t tmpfs none /run && echo ready"
Run = Callable[..., subprocess.CompletedProcess[str]]
OTHERS = '# mine: 100% \xe4\n\nMAILTO=""\n5 5 * * * date +\\%F'  # without a line break at its end, as cron would not
FIRED = """
import sys
from pathlib import Path
from expunge.schedule.crontab import install
from expunge.schedule.retraining import Retraining
from expunge.schedule.schedules import Schedule
from expunge.schedule.timing import parse_timing
folder = Path.cwd()
retraining = Retraining(folder, folder / "expunge", folder / "config.yaml", folder / "runner.env")
install(Schedule("recorded", parse_timing("* * * * *"), retraining))
"""


@pytest.fixture
def cron(tmp_path: Path) -> Iterator[Run]:
    """A cron that runs beside the machine's own; yields what runs a command where its crontab is."""
    for name in ("cron", "crontab", "unshare", "nsenter"):
        if shutil.which(name, path=PATHS) is None:
            pytest.skip(f"no {name}; on Debian or Ubuntu: apt install cron util-linux")
    if os.geteuid() != 0:
        pytest.skip("not root, who alone may mount a spool of its own for cron")
    environment = os.environ | {"PATH": PATHS, "PYTHONPATH": str(ROOT), "COLUMNS": "300"}
    server = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"{ALONE} && exec cron -f"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    folder = tmp_path / "pro 'ject' 100%"
    folder.mkdir()

    def run(*command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", "-t", str(server.pid), "-m", f"--wd={folder}", *command],
            input=given,
            capture_output=True,
            text=True,
            env=environment,
        )

    try:
        assert server.stdout is not None and server.stdout.readline() == "ready\n"
        time.sleep(
            1.5
        )  # cron looks at whole seconds: it would miss a change in the one in which it first read its spool
        yield run
    finally:
        server.kill()
        server.wait(20)


def expunge(run: Run, *words: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "expunge.cli", "schedule", *words)


def crontab(run: Run) -> str:
    return run("crontab", "-l").stdout


def test_it_fires_within_seventy_seconds(cron: Run, tmp_path: Path) -> None:
    folder = tmp_path / "pro 'ject' 100%"
    (folder / "expunge").write_text(
        f"#!{sys.executable}\nimport os, sys\nprint(sys.argv[1:], os.getcwd(), os.environ['TOKEN'])\n"
    )
    (folder / "expunge").chmod(0o755)
    (folder / "runner.env").write_text("TOKEN=only-for-tests\n")
    assert cron(sys.executable, "-c", FIRED).returncode == 0
    # At another time: of two schedules of one folder that fire in the same moment one is left out.
    installed = expunge(cron, "install", "--cron", "0 0 29 2 *", "--name", "real")
    assert installed.returncode == 0 and "Installed 'real' in crontab" in installed.stdout, installed.stderr
    assert "only-for-tests" not in crontab(cron)
    log = folder / ".expunge/retrain.log"
    until = time.monotonic() + 70
    expected = f"{['retrain', '--config', str(folder / 'config.yaml')]} {folder} only-for-tests\n"
    while not log.exists() or expected not in log.read_text():
        assert time.monotonic() < until, log.read_text() if log.exists() else "nothing fired"
        time.sleep(0.5)


def test_installing_twice_and_removing_leaves_the_rest_as_it_was(cron: Run) -> None:
    assert cron("crontab", "-", given=OTHERS + "\n").returncode == 0
    before = crontab(cron)
    for _ in range(2):
        assert expunge(cron, "install", "--cron", "0  3 * *\tmon-fri").returncode == 0
        assert crontab(cron).startswith(before) and crontab(cron).count(MARK) == 1
    once = crontab(cron)
    assert expunge(cron, "install", "--cron", "0 3 * * mon-fri", "--name", "other").returncode == 0
    assert expunge(cron, "install", "--cron", "30 4 * * *", "--name", "other").returncode == 0
    shown = json.loads(expunge(cron, "show", "--json").stdout)
    assert [(each["name"], each["cron"]) for each in shown] == [("retrain", "0 3 * * mon-fri"), ("other", "30 4 * * *")]
    assert all(len(each["next"]) == 3 and each["place"] == "crontab" for each in shown)
    assert "30 4 * * *" in expunge(cron, "show").stdout
    assert expunge(cron, "remove", "--name", "other").returncode == 0
    assert crontab(cron) == once
    assert expunge(cron, "remove").stdout == "Removed 'retrain' from crontab.\n"
    assert crontab(cron) == before


def test_what_cannot_be_is_one_line_and_nothing_is_moved(cron: Run, tmp_path: Path) -> None:
    assert expunge(cron, "remove").stderr.startswith("Error: name: no schedule 'retrain' is installed")
    assert expunge(cron, "install", "--cron", "0 3 * * *").returncode == 0
    before = crontab(cron)
    (tmp_path / "elsewhere").mkdir()
    deep = tmp_path.joinpath(*["x" * 200] * 5, "config.yaml")  # cron's lines have at most a thousand characters
    deep.parent.mkdir(parents=True)
    deep.touch()
    for words, said in (
        (["--cron", "61 * * * *"], "cron: '61 * * * *' given"),
        (["--cron", "0 3 * * *", "--config", str(deep)], "crontab: refused the line, and is as it was: "),
        (["--cron", "0 3 * * *", "--timezone", "Mars/Base"], "timezone: 'Mars/Base' given"),
        (["--cron", "0 3 * * *", "--timezone", "Australia/Lord_Howe"], "timezone: cron runs by this machine's own"),
        (["--cron", "0 3 * * *", "--name", "Re train"], "name: 'Re train' given"),
        (["--cron", "0 3 * * *", "--config", "none.yaml"], "config: there is no file"),
        (["--cron", "0 3 * * *", "--env-file", "none.env"], "env-file: there is no file"),
    ):
        done = expunge(cron, "install", *words)
        assert done.returncode == 2 and done.stderr.startswith(f"Error: {said}"), done.stderr
        assert done.stderr.count("\n") == 1 and crontab(cron) == before
    elsewhere = ["env", "-C", str(tmp_path / "elsewhere"), sys.executable, "-m", "expunge.cli", "schedule", "install"]
    done = cron(*elsewhere, "--cron", "0 3 * * *")
    assert "schedule 'retrain' belongs to" in done.stderr and crontab(cron) == before


def test_a_block_without_its_end_is_left_alone(cron: Run) -> None:
    assert expunge(cron, "install", "--cron", "0 3 * * *").returncode == 0
    torn = "".join(crontab(cron).splitlines(keepends=True)[:2])
    assert cron("crontab", "-", given=torn).returncode == 0
    assert "has no end; mend it with: crontab -e" in expunge(cron, "remove").stderr
    assert crontab(cron) == torn
