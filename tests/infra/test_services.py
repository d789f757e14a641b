"""MLflow with login on PostgreSQL: who may do what, and where passwords are and are not."""

import stat
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
import requests

from infra.secret_files import read_env
from infra.services import services
from tests.infra.conftest import ACCOUNTS, Guarded

pytestmark = pytest.mark.slow
# As the runner: a model with a file.
REGISTER = """
from pathlib import Path
from mlflow import MlflowClient
client = MlflowClient()
experiment = client.get_experiment_by_name("expunge").experiment_id
run = client.create_run(experiment).info.run_id
Path("weights.txt").write_text("four")
client.log_artifact(run, "weights.txt")
client.create_model_version("expunge-zoo", f"runs:/{run}/weights.txt", run)
client.set_registered_model_alias("expunge-zoo", "champion", "1")
"""
# As the reader: look at everything, change nothing.
READ = """
import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
client = MlflowClient()
version = client.get_model_version_by_alias("expunge-zoo", "champion")
print(open(mlflow.artifacts.download_artifacts(f"runs:/{version.run_id}/weights.txt")).read())
experiment = client.get_experiment_by_name("expunge").experiment_id
for change in (
    lambda: client.set_registered_model_alias("expunge-zoo", "champion", "1"),
    lambda: client.set_model_version_tag("expunge-zoo", "1", "digest", "x"),
    lambda: client.delete_registered_model("expunge-zoo"),
    lambda: client.create_run(experiment),
    lambda: client.delete_experiment(experiment),
):
    try:
        change()
    except MlflowException as error:
        print(error.error_code)
"""


def as_account(guarded: Guarded, name: str, script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=guarded.environment(name), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def secrets_of(guarded: Guarded) -> list[str]:
    files = [
        *map(guarded.account, ACCOUNTS),
        guarded.folder / "accounts/keys.env",
        guarded.folder / "database/passwords",
    ]
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME")
    return [value for file in files for name, value in read_env(file).items() if name not in names]


def test_a_reader_reads_and_changes_nothing(guarded: Guarded, tmp_path: Path) -> None:
    as_account(guarded, "runner", REGISTER, tmp_path)
    assert as_account(guarded, "reader", READ, tmp_path).split() == ["four"] + ["PERMISSION_DENIED"] * 5


def test_the_experiment_is_the_one_that_expunge_uses() -> None:
    from expunge.release import tracking
    from infra import accounts

    assert accounts.EXPERIMENT == tracking.EXPERIMENT


def test_without_a_login_there_is_no_answer(guarded: Guarded) -> None:
    search = f"{guarded.url}/api/2.0/mlflow/experiments/search?max_results=1"
    reader = read_env(guarded.account("reader"))
    assert requests.get(search, timeout=30).status_code == 401
    assert requests.get(search, auth=("reader", "guessed"), timeout=30).status_code == 401
    assert requests.get(search, auth=("reader", reader["MLFLOW_TRACKING_PASSWORD"]), timeout=30).status_code == 200


def test_secrets_lie_in_private_files_alone(guarded: Guarded) -> None:
    secrets = secrets_of(guarded)
    assert len(secrets) == len(set(secrets)) == 7 and min(map(len, secrets)) > 40
    for file in guarded.folder.rglob("*"):
        if "data" in file.parts or not file.is_file():
            continue
        told = any(secret in file.read_text(errors="replace") for secret in secrets)
        assert not told or stat.S_IMODE(file.stat().st_mode) == 0o600, file
    lines = [each.read_bytes() for each in Path("/proc").glob("[0-9]*/cmdline") if each.exists()]
    assert any(str(guarded.folder).encode() in line for line in lines)
    assert not [secret for secret in secrets for line in lines if secret.encode() in line]


def test_the_database_wants_its_password_too(guarded: Guarded) -> None:
    passfile = guarded.folder / "database/pgpass"
    running = (guarded.folder / "database/data/postmaster.pid").read_text().splitlines()
    address = {"host": "127.0.0.1", "port": int(running[3]), "dbname": "mlflow"}
    psycopg2.connect(user="mlflow", passfile=str(passfile), **address).close()
    for user, password in (("mlflow", "guessed"), ("postgres", "postgres")):
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(user=user, password=password, **address)


def test_started_again_all_is_as_it_was_and_a_lost_file_means_a_new_password(tmp_path: Path) -> None:
    with services(tmp_path, str(tmp_path / "artifacts")) as url:
        first = Guarded(tmp_path, url)
        before = secrets_of(first)
        as_account(first, "runner", REGISTER, tmp_path)
    lost = read_env(first.account("reader"))["MLFLOW_TRACKING_PASSWORD"]
    first.account("reader").unlink()
    with services(tmp_path, str(tmp_path / "artifacts")) as url:
        again = Guarded(tmp_path, url)
        assert [each for each in before if each not in secrets_of(again)] == [lost]
        assert as_account(again, "reader", READ, tmp_path).startswith("four")
        search = f"{url}/api/2.0/mlflow/experiments/search?max_results=1"
        assert requests.get(search, auth=("reader", lost), timeout=30).status_code == 401


def test_a_file_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "accounts").mkdir()
    (tmp_path / "accounts/admin.env").write_text("MLFLOW_TRACKING_PASSWORD=x\n")
    (tmp_path / "accounts/admin.env").chmod(0o644)
    with pytest.raises(RuntimeError, match="others can read .*admin.env"), services(tmp_path, str(tmp_path)):
        pass
