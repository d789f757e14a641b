"""Runs in the MLflow store: how it is opened, training curves, and the files kept beside them."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlparse

# MLflow reads these when it is imported. Unless told otherwise it sends usage statistics to its makers, draws
# a progress bar for every file and keeps calling a server that is not there for minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

from expunge.errors import ExpungeError  # noqa: E402

EXPERIMENT = "expunge"
STATE = Path(".expunge")
FLUSH_VALUES = 500
FLUSH_SECONDS = 2.0


def default_tracking_uri() -> str:
    """``MLFLOW_TRACKING_URI``, else a SQLite file in ``.expunge`` under the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{STATE.resolve() / 'mlflow.db'}"


def open_store(tracking_uri: str) -> tuple[MlflowClient, str]:
    """Connect to a store, and find or make the experiment there.

    A store in a SQLite file keeps its artifacts in ``mlartifacts`` beside the file; a server decides itself.

    Returns:
        The client and the experiment's id.

    Raises:
        ExpungeError: the store does not answer, or the experiment was deleted.
    """
    location = None
    parts = urlparse(tracking_uri)
    if parts.scheme == "sqlite":
        beside = Path(unquote(parts.path.removeprefix("/"))).resolve().parent
        beside.mkdir(parents=True, exist_ok=True)
        location = (beside / "mlartifacts").as_uri()
    try:
        client = MlflowClient(tracking_uri)
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            return client, _make_experiment(client, location)
    except MlflowException as error:
        # MLflow's own words repeat the address, and that may hold a password: so no chained traceback either.
        said = error.message.replace(tracking_uri, _without_password(tracking_uri))
        raise ExpungeError(
            f"tracking store {_without_password(tracking_uri)}: {said} "
            "Check MLFLOW_TRACKING_URI and that the server is up; without the variable a local file is used."
        ) from None
    if found.lifecycle_stage != "active":
        raise ExpungeError(
            f"tracking store {_without_password(tracking_uri)}: the experiment '{EXPERIMENT}' was deleted. "
            f"Bring it back: mlflow experiments restore --experiment-id {found.experiment_id}"
        )
    return client, found.experiment_id


def _make_experiment(client: MlflowClient, location: str | None) -> str:
    try:
        return client.create_experiment(EXPERIMENT, artifact_location=location)
    except MlflowException as error:
        found = client.get_experiment_by_name(EXPERIMENT)
        if error.error_code == "RESOURCE_ALREADY_EXISTS" and found is not None:
            return found.experiment_id  # Another process was quicker.
        raise


def _without_password(uri: str) -> str:
    parts = urlparse(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


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
        client.set_terminated(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    client.set_terminated(run_id, "FINISHED")


class TrainingLog:
    """One training run: its settings, curves and files. Used as ``with TrainingLog("unlearn") as log:``.

    Values are sent a few hundred at a time, or every two seconds: a curve can be watched as it grows, and
    a step hardly waits.

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
        self._tags = dict(tags or {}) | ({"mlflow.parentRunId": parent_run_id} if parent_run_id else {})
        self._client, self._experiment_id = open_store(tracking_uri or default_tracking_uri())
        self._waiting: list[Metric] = []
        self._sent_at = 0.0
        self._ending: AbstractContextManager[None]

    def __enter__(self) -> Self:
        if self.run_id:
            self._client.update_run(self.run_id, status="RUNNING")
        else:
            made = self._client.create_run(self._experiment_id, tags=self._tags, run_name=self._name)
            self.run_id = made.info.run_id
        self._ending = run_ending(self._client, self.run_id)
        self._ending.__enter__()
        self._client.log_batch(self.run_id, params=[Param(key, str(value)) for key, value in self._params.items()])
        self._sent_at = time.monotonic()
        return self

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Note the values at a step."""
        now = int(time.time() * 1000)
        self._waiting += [Metric(name, float(value), now, step) for name, value in values.items()]
        if len(self._waiting) >= FLUSH_VALUES or time.monotonic() - self._sent_at > FLUSH_SECONDS:
            self._send()

    def artifact(self, path: Path, folder: str = "") -> None:
        """Keep a file or a folder in the run."""
        log_files(self._client, self.run_id, {folder: path})

    def _send(self) -> None:
        for start in range(0, len(self._waiting), FLUSH_VALUES):
            self._client.log_batch(self.run_id, metrics=self._waiting[start : start + FLUSH_VALUES])
        self._waiting = []
        self._sent_at = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._send()
        self._ending.__exit__(kind, error, trace)
