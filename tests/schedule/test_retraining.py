"""The command that a schedule starts, in a real shell."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from expunge.errors import ExpungeError
from expunge.schedule.retraining import LOG, Retraining, plan_retraining

SECRETS = "# of the runner\n\nMLFLOW_TRACKING_PASSWORD=s3cr3t+/=%x\nMLFLOW_TRACKING_USERNAME='a $(touch made) b'\n"


def program(folder: Path, body: str) -> Path:
    path = folder / "expunge"
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(0o755)
    return path


def env_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "runner's.env"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "a 'project' \"of\" $HOME; 100% `mine`"
    (place / ".expunge").mkdir(parents=True)
    return place


def test_it_runs_in_its_folder_with_its_environment_and_leaves_no_secret_in_the_line(folder: Path) -> None:
    given = env_file(folder, SECRETS)
    (folder / "my config.yaml").touch()
    told = program(
        folder,
        "import os, sys\nprint(sys.argv[1:], os.getcwd(), sep='\\n')\n"
        "given = os.environ['MLFLOW_TRACKING_PASSWORD'], os.environ['MLFLOW_TRACKING_USERNAME']\n"
        "print(*given, flush=True)\nprint('to stderr', file=sys.stderr)\n",
    )
    line = Retraining(folder, told, folder / "my config.yaml", given).shell_line()
    assert "s3cr3t" not in line
    assert subprocess.run(["sh", "-c", line], cwd="/", env={"PATH": "/usr/bin:/bin"}).returncode == 0
    words, place, values, error = (folder / LOG).read_text().splitlines()
    assert words == str(["retrain", "--config", str(folder / "my config.yaml")])
    assert (place, values, error) == (str(folder), "s3cr3t+/=%x a $(touch made) b", "to stderr")
    assert not (folder / "made").exists()


def test_it_does_nothing_while_it_runs_already(folder: Path) -> None:
    slow = program(folder, "import time\nprint('started', flush=True)\ntime.sleep(600)\n")
    line = Retraining(folder, slow).shell_line()
    first = subprocess.Popen(["sh", "-c", line], start_new_session=True)
    try:
        until = time.monotonic() + 20
        while not (folder / LOG).exists() or "started" not in (folder / LOG).read_text():
            assert time.monotonic() < until
            time.sleep(0.05)
        assert subprocess.run(["sh", "-c", line], timeout=20).returncode == 0
        assert (folder / LOG).read_text() == "started\n"
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(20)
    again = Retraining(folder, program(folder, "print('again')\n")).shell_line()
    assert subprocess.run(["sh", "-c", again]).returncode == 0
    assert (folder / LOG).read_text() == "started\nagain\n"


def test_an_environment_that_is_gone_is_told_in_the_log(folder: Path) -> None:
    line = Retraining(folder, program(folder, "print('ran')"), env_file=folder / "gone.env").shell_line()
    assert subprocess.run(["sh", "-c", line]).returncode != 0
    assert "gone.env" in (folder / LOG).read_text() and "ran" not in (folder / LOG).read_text()


@pytest.mark.parametrize(
    "line", ["export A=secret", "A=secret; rm x", "A=$(secret)", 'A="secret"', "A = secret", "secret", "A='sec'ret'"]
)
def test_an_environment_that_says_more_is_refused_without_repeating_it(folder: Path, line: str) -> None:
    with pytest.raises(ExpungeError, match=r"env-file: line 2 of .* is not NAME=VALUE") as error:
        plan_retraining(folder, env_file=env_file(folder, f"B=1\n{line}\n"))
    assert "sec" not in str(error.value)


def test_what_is_missing_or_open_to_others_is_refused(folder: Path) -> None:
    with pytest.raises(ExpungeError, match="config: there is no file .*none.yaml"):
        plan_retraining(folder, config=folder / "none.yaml")
    with pytest.raises(ExpungeError, match="env-file: there is no file .*none.env"):
        plan_retraining(folder, env_file=folder / "none.env")
    with pytest.raises(ExpungeError, match="env-file: others can read .* chmod 600 "):
        plan_retraining(folder, env_file=env_file(folder, SECRETS, 0o640))
    with pytest.raises(ExpungeError, match="has a line break"):
        plan_retraining(folder / "two\nlines")


def test_it_is_this_pythons_own_expunge(folder: Path) -> None:
    planned = plan_retraining(folder, env_file=env_file(folder, SECRETS))
    assert planned.program == Path(sys.executable).with_name("expunge") and planned.config is None
