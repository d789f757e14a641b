"""Runs in the MLflow store: how it is opened, training curves, and the files kept beside them."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote, urlparse

EXPERIMENT = "expunge"
STATE = Path(".expunge")

# MLflow reads these when it is imported. It wants a home, which an unknown user in a container has not. Unless told
# otherwise it sends usage statistics to its makers and draws a progress bar for every file.
if os.path.expanduser("~") == "~":
    os.environ["HOME"] = str(STATE.resolve())
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import DatasetInput, Metric, Param  # noqa: E402
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from sqlalchemy.engine import make_url  # noqa: E402

from expunge.errors import ExpungeError  # noqa: E402
from expunge.release.races import tried_again  # noqa: E402
from expunge.release.store_errors import answered, answering, shown  # noqa: E402
from expunge.takedown.owner import owner_is_gone, this_owner  # noqa: E402

# MLflow keeps calling a server that is not there for minutes, which is for runs to want. No variable of this process:
# those that it starts would inherit it.
MLFLOW_HTTP_REQUEST_MAX_RETRIES.default = 3

FLUSH_VALUES = 500
FLUSH_SECONDS = 2.0
RETRY_SECONDS = 30.0  # between two attempts at a store that did not answer, each of which may wait for seconds itself
PROCESS = "expunge.process"  # the tag that says which process a run belongs to
# Where MLflow's tables hold the place of artifacts, as far as it is absolute.
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def default_tracking_uri() -> str:
    """``MLFLOW_TRACKING_URI``, else a SQLite file in ``.expunge`` under the working directory."""
    file = str(STATE.resolve() / "mlflow.db")
    # A "?" would end the path in a database's address; SQLite's own form of a file's address can quote it.
    local = f"sqlite+pysqlite:///file:{quote(file)}?uri=true" if "?" in file else f"sqlite:///{file}"
    return os.environ.get("MLFLOW_TRACKING_URI") or local


def open_store(tracking_uri: str) -> tuple[MlflowClient, str]:
    """Connect to a store, and find or make the experiment there.

    A store in a SQLite file keeps its artifacts in ``mlartifacts`` beside the file, also after both were moved; a
    server decides itself.

    Returns:
        The client and the experiment's id.

    Raises:
        ExpungeError: the store does not answer, or the experiment was deleted.
    """
    with answering(tracking_uri):
        database = _sqlite_file(tracking_uri)
        location = None
        if database is not None:
            database.parent.mkdir(parents=True, exist_ok=True)
            location = (database.parent / "mlartifacts").as_uri()
            sqlite3.connect(database).close()  # MLflow would try for minutes to open what cannot be opened
        client = MlflowClient(tracking_uri)
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            return client, _make_experiment(client, location)
        if database is not None and location is not None:
            _follow_the_move(database, found.artifact_location, location)
    if found.lifecycle_stage != "active":
        raise ExpungeError(
            f"tracking store {shown(tracking_uri)}: the experiment '{EXPERIMENT}' was deleted. "
            f"Bring it back: mlflow experiments restore --experiment-id {found.experiment_id}"
        )
    return client, found.experiment_id


def _sqlite_file(tracking_uri: str) -> Path | None:
    """The file of a SQLite store; None for anything else, and for a store in memory."""
    if not tracking_uri.startswith("sqlite"):
        return None
    address = make_url(tracking_uri)
    file = address.database or ":memory:"
    if address.query.get("uri") and file.startswith("file:"):
        file = unquote(urlparse(file).path)
    return None if file == ":memory:" else Path(file).resolve()


def _follow_the_move(database: Path, recorded: str, location: str) -> None:
    """Let a store that was moved or copied together with its artifacts find them where they lie now.

    MLflow keeps the absolute place of every artifact in the database. Without this it would read nothing there, and
    write new files to where the folder was.
    """
    kept_beside = recorded.startswith("file://") and recorded.endswith("/mlartifacts")
    beside, before = (Path(unquote(urlparse(each).path)) for each in (location, recorded))
    if recorded == location or not kept_beside or not (beside.exists() or not before.exists()):
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in PLACES:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (location, len(recorded) + 1, len(recorded), recorded),
            )


def _make_experiment(client: MlflowClient, location: str | None) -> str:
    try:
        return client.create_experiment(EXPERIMENT, artifact_location=location)
    except MlflowException as error:
        found = client.get_experiment_by_name(EXPERIMENT)
        if error.error_code == "RESOURCE_ALREADY_EXISTS" and found is not None:
            return found.experiment_id  # Another process was quicker.
        raise


def log_datasets(client: MlflowClient, run_id: str, inputs: Sequence[DatasetInput]) -> None:
    """Say what a run was measured on.

    MLflow keeps a data set of one name and digest once: of runs that make it in the same moment all but one are
    refused. The next time they find it.
    """
    tried_again(lambda: client.log_inputs(run_id, inputs))


def log_files(client: MlflowClient, run_id: str, files: Mapping[str, Path]) -> None:
    """Copy files and folders into a run, each into the run's folder that it is listed under.

    Raises:
        ExpungeError: one of them is not there; then none is copied.
    """
    for folder, path in files.items():
        if not path.exists():
            raise ExpungeError(f"{folder}: there is no file or folder {path}.")
    for folder, path in files.items():
        if path.is_dir():
            client.log_artifacts(run_id, str(path), folder)
        else:
            client.log_artifact(run_id, str(path), folder)


@contextmanager
def run_ending(client: MlflowClient, run_id: str) -> Iterator[None]:
    """End the run with the block: FINISHED, KILLED if it was interrupted, FAILED on an error."""
    try:
        yield
    except BaseException as error:
        client.set_terminated(run_id, _status(error))
        raise
    client.set_terminated(run_id, _status(None))


def _status(error: BaseException | None) -> str:
    if error is None:
        return "FINISHED"
    return "FAILED" if isinstance(error, Exception) else "KILLED"


def end_dead_runs(client: MlflowClient, experiment_id: str) -> list[str]:
    """End the runs whose process was killed on this host, with the reason as a tag; returns their ids.

    Of other hosts' processes nothing is known here: their runs are left.
    """
    ended = []
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        started = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
        if owner_is_gone(run.data.tags.get(PROCESS, ""), started):
            client.set_tag(run.info.run_id, "expunge.ended", "its process was gone")
            client.set_terminated(run.info.run_id, "KILLED")
            ended.append(run.info.run_id)
    return ended


class TrainingLog:
    """One training run: its settings, curves and files. Used as ``with TrainingLog("unlearn") as log:``.

    Values are sent a few hundred at a time, or every two seconds: a curve can be watched as it grows, and
    a step hardly waits. A store that stops answering ends no training: values wait until it is back, and what could not
    be sent at the end is kept in a file below ``.expunge/unsent``.

    Args:
        name: how the run is shown.
        params: settings, shown beside the curves.
        tags: facts to find the run by; no secrets.
        tracking_uri: as for ``Registry``.
        parent_run_id: the run that this one is part of.
        run_id: a run to go on with, e.g. after an interruption; it keeps its name and tags.

    Attributes:
        run_id: the run's id, from the start of the block.
    """

    def __init__(
        self,
        name: str,
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        tracking_uri: str | None = None,
        parent_run_id: str | None = None,
        run_id: str | None = None,
    ) -> None:
        self.run_id = run_id or ""
        self._name = name
        self._params = dict(params or {})
        parent = {"mlflow.parentRunId": parent_run_id} if parent_run_id else {}
        self._tags = {PROCESS: this_owner(name), **(tags or {}), **parent}
        self.tracking_uri = tracking_uri or default_tracking_uri()
        self._client, self._experiment_id = open_store(self.tracking_uri)
        self._waiting: list[Metric] = []
        self._unsent, self._patience = 0, FLUSH_SECONDS
        self._sent_at = 0.0

    @answered
    def __enter__(self) -> Self:
        if self.run_id:
            self._client.update_run(self.run_id, status="RUNNING")
        else:
            made = self._client.create_run(self._experiment_id, tags=self._tags, run_name=self._name)
            self.run_id = made.info.run_id
        self._client.log_batch(self.run_id, params=[Param(key, str(value)) for key, value in self._params.items()])
        self._sent_at = time.monotonic()
        return self

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Note the values at a step."""
        now = int(time.time() * 1000)
        self._waiting += [Metric(name, float(value), now, step) for name, value in values.items()]
        if len(self._waiting) >= FLUSH_VALUES + self._unsent or time.monotonic() - self._sent_at > self._patience:
            try:
                with answering(self.tracking_uri):
                    self._send()
            except ExpungeError as unheard:
                if not self._unsent:
                    print(f"{unheard} Training goes on; its curves wait until the store answers.")
                self._unsent, self._patience = len(self._waiting), RETRY_SECONDS
                self._sent_at = time.monotonic()

    @answered
    def artifact(self, path: Path, folder: str = "") -> None:
        """Keep a file or a folder in the run."""
        log_files(self._client, self.run_id, {folder: path})

    def _send(self) -> None:
        while self._waiting:
            self._client.log_batch(self.run_id, metrics=self._waiting[:FLUSH_VALUES])
            del self._waiting[:FLUSH_VALUES]
        self._unsent, self._patience = 0, FLUSH_SECONDS
        self._sent_at = time.monotonic()

    def _keep(self) -> Path:
        """Write down what could not be sent."""
        kept = STATE / "unsent" / f"{self.run_id}.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps([dict(each) for each in self._waiting]), encoding="utf-8")
        return kept

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with answering(self.tracking_uri):
                self._send()
                self._client.set_terminated(self.run_id, _status(error))
        except ExpungeError as unheard:
            said = f"{unheard} What it was not sent of run {self.run_id} is in {self._keep()}."
            if error is None:
                print(said)  # the training is done, and worth more than its curves
            else:
                error.add_note(said)
