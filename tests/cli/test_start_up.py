"""The command line starts at once, and speaks properly to a real shell."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from expunge.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "diffusers", "transformers", "mlflow", "zenml", "boto3", "pandas",
         "model_signing", "sigstore", "securesystemslib", "in_toto_attestation", "cryptography")  # fmt: skip


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )


def test_help_starts_in_under_a_second() -> None:
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = run("-m", "expunge.cli", "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert result.returncode == 0 and "takedown" in result.stdout and "draw" in result.stdout
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 1, f"processor seconds: {seconds}"


def test_no_heavy_import_at_start_up_nor_in_the_takedown_room() -> None:
    code = (
        "import sys, pkgutil, importlib, expunge.cli, expunge.cli.takedown, expunge.takedown.inbox\n"
        "names = ('certificates', 'champion', 'draw', 'report', 'retrain', 'schedule', 'stack_checks', 'status')\n"
        "for name in names: importlib.import_module(f'expunge.cli.{name}')\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert run("-c", code).stdout == "[]\n"


def test_signing_is_imported_when_something_is_signed() -> None:
    code = (
        "import sys, expunge.release.verification, expunge.release.model_card\n"
        f"print([name for name in {HEAVY[7:]} if name in sys.modules])"
    )
    assert run("-c", code).stdout == "[]\n"


def test_every_command_has_help() -> None:
    for command in COMMANDS:
        result = run("-m", "expunge.cli", command, "--help")
        assert result.returncode == 0 and result.stdout.startswith("Usage: ")


def test_in_a_shell(tmp_path: Path) -> None:
    inbox = str(tmp_path / "inbox")
    filed = run("-m", "expunge.cli", "takedown", "file", "style", "noto", "--json", EXPUNGE_INBOX=inbox)
    assert filed.returncode == 0 and filed.stderr == "" and json.loads(filed.stdout)["id"] == "style-noto"
    wrong = run("-m", "expunge.cli", "takedown", "show", "x", EXPUNGE_INBOX=inbox)
    assert wrong.returncode == 2 and wrong.stdout == "" and "Traceback" not in wrong.stderr
    assert wrong.stderr.strip() == "Error: id: no request 'x' in the inbox. It holds: style-noto"
