"""Timers of systemd, checked by its own tools."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or shutil.which("systemctl") is None,
    reason="no systemd-analyze and systemctl; on Debian or Ubuntu: apt install systemd",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder. The user's own systemd, if there is one, is not asked."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    place = tmp_path / "pro 'ject' 100% $HOME"
    place.mkdir()
    return place


def expunge(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "expunge.cli", "schedule", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "300"} | environment,
    )


def units(folder: Path) -> dict[str, str]:
    found = folder.parent / "config/systemd/user"
    return {path.name: path.read_text() for path in found.glob("*") if path.is_file()}


def test_units_are_written_checked_and_enabled_and_removed_without_a_trace(folder: Path) -> None:
    (folder / "runner.env").write_text("TOKEN=only-for-tests\n")
    (folder / "runner.env").chmod(0o600)
    (folder / "config.yaml").touch()
    install = ["install", "--systemd", "--cron", "0 3 1 * mon", "--timezone", "Europe/Berlin"]
    install += ["--env-file", "runner.env", "--config", "config.yaml"]
    done = expunge(folder, *install)
    assert done.returncode == 0 and "the timer starts at your next login" in done.stdout, done.stderr
    first = units(folder)
    assert set(first) == {"expunge-retrain.service", "expunge-retrain.timer"}
    assert expunge(folder, *install).returncode == 0 and units(folder) == first
    assert (folder.parent / "config/systemd/user/timers.target.wants/expunge-retrain.timer").is_symlink()
    timer = first["expunge-retrain.timer"].splitlines()
    assert (
        "OnCalendar=*-*-01 03:00:00 Europe/Berlin" in timer and "OnCalendar=Mon *-*-* 03:00:00 Europe/Berlin" in timer
    )
    service = configparser.RawConfigParser()
    service.optionxform = str  # type: ignore[assignment,method-assign]
    service.read_string(first["expunge-retrain.service"])
    place = str(folder).replace("%", "%%")
    assert service["Service"]["WorkingDirectory"] == place
    assert service["Service"]["StandardOutput"] == f"append:{place}/.expunge/retrain.log"
    assert service["Service"]["EnvironmentFile"] == f"{place}/runner.env"
    assert "only-for-tests" not in "".join(first.values())
    assert "Europe/Berlin" in expunge(folder, "show").stdout
    assert expunge(folder, "remove").stdout == "Removed 'retrain' from systemd.\n"
    assert units(folder) == {}
    assert not list((folder.parent / "config").rglob("*.timer"))


def test_what_cannot_be_is_one_line_and_nothing_is_moved(folder: Path) -> None:
    install = ["install", "--systemd", "--cron"]
    for words, said in (
        (["nonsense"], "cron: 'nonsense' given"),
        (["0 3 * * *", "--timezone", "Mars/Base"], "timezone: 'Mars/Base' given"),
        (["0 3 * * *", "--name", "a/../b"], "name: 'a/../b' given"),
    ):
        done = expunge(folder, *install, *words)
        assert done.returncode == 2 and done.stderr.startswith(f"Error: {said}") and done.stderr.count("\n") == 1
        assert units(folder) == {} and not (folder / ".expunge").exists()


def test_another_projects_timer_is_not_replaced(folder: Path) -> None:
    (other := folder.parent / "other").mkdir()
    assert expunge(other, "install", "--systemd", "--cron", "0 3 * * *").returncode == 0
    before = units(folder)
    done = expunge(folder, "install", "--systemd", "--cron", "0 4 * * *")
    assert f"name: schedule 'retrain' belongs to {other}" in done.stderr and units(folder) == before
    done = expunge(folder, "install", "--cron", "0 4 * * *")
    assert "is installed in systemd, and would run twice" in done.stderr


def test_without_cron_or_systemd_the_other_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("flock",):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
    bare = {"PATH": str(tmp_path / "bin")}
    done = expunge(folder, "install", "--cron", "0 3 * * *", **bare)
    assert done.stderr.startswith("Error: crontab: is not on this machine; install cron") and "--systemd" in done.stderr
    done = expunge(folder, "install", "--cron", "0 3 * * *", "--systemd", **bare)
    assert done.stderr.startswith("Error: systemd-analyze: is not on this machine; leave --systemd out")
    assert expunge(folder, "show", **bare).stdout.startswith("No schedule is installed")
