"""What starting costs: seconds of CPU until a command has nothing more to do.

    python benchmarks/start_up.py                                      a minute and a half
    python benchmarks/start_up.py --times 9 --json benchmarks/results/start_up.json

Each command is a process of its own, user and system time together, after one run that is not counted (it compiles
bytecode, makes ZenML's database). Least of all runs and median; other work on the machine raises both. Rows:

- zenml: ``import zenml``, which everything that runs a pipeline pays before a line of ours.
- bare run: ``zenml pipeline run`` of a pipeline with one step that does nothing, and no integration activated; what
  an empty run of ours takes above it is ours.
- import: ``import pipelines.unlearn_pipeline``, the row above included.
- empty run: ``zenml pipeline run unlearn_pipeline`` with no request pending, imports included.
- help, list: ``expunge --help``, ``expunge takedown list`` of an empty inbox.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ZENML = str(Path(sys.executable).with_name("zenml"))


BARE = """
import steps.integrations
from zenml import pipeline, step

@step(enable_cache=False)
def nothing() -> str:
    return ""

@pipeline(dynamic=True)
def bare() -> None:
    nothing().load()
"""


def commands(inbox: Path, config: Path) -> dict[str, list[str]]:
    """What is measured, by the name of its row."""
    config.write_text(json.dumps({"parameters": {"inbox": str(inbox)}}), encoding="utf-8")
    return {
        "zenml": [sys.executable, "-c", "import zenml"],
        "bare run": [ZENML, "pipeline", "run", "bare_pipeline.bare"],
        "import": [sys.executable, "-c", "import pipelines.unlearn_pipeline"],
        "empty run": [ZENML, "pipeline", "run", "unlearn_pipeline", "-c", str(config)],
        "help": [sys.executable, "-m", "expunge.cli", "--help"],
        "list": [sys.executable, "-m", "expunge.cli", "takedown", "list", "--inbox", str(inbox)],
    }


def surroundings(home: Path) -> dict[str, str]:
    """Environment with a ZenML of its own, in which modules are found here and bytecode is kept."""
    (home / "repository").mkdir()
    (home / "bare_pipeline.py").write_text(BARE, encoding="utf-8")
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{home}",
        "PYTHONPYCACHEPREFIX": "",
        "PYTHONDONTWRITEBYTECODE": "",
        "ZENML_CONFIG_PATH": str(home / "config"),
        "ZENML_ANALYTICS_OPT_IN": "false",
    }
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([ZENML, "init"], cwd=home / "repository", env=environment, check=True, **quiet)  # type: ignore[call-overload]
    return environment | {"ZENML_REPOSITORY_PATH": str(home / "repository")}


def seconds_of(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """User and system time of one run of a command.

    Raises:
        CalledProcessError: it failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description="What starting costs, in seconds of CPU.")
    parser.add_argument("--times", type=int, default=5, help="runs of each command")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = surroundings(home)
        rows = commands(home / "inbox", home / "empty.json")
        measured: dict[str, list[float]] = {name: [] for name in rows}
        for turn in range(options.times + 1):  # in turns, so that other work hits all alike
            for name, command in rows.items():
                seconds = seconds_of(command, environment)
                if turn:
                    measured[name].append(seconds)
    for name, runs in measured.items():
        print(f"{name:10} least {min(runs):6.2f} s   median {statistics.median(runs):6.2f} s")
    if options.json:
        options.json.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
