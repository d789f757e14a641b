"""The model registry: every unlearned model, with its evidence.

The aliases ``champion`` and ``former-champion`` say for others what the champion log says (``promotion``);
``challenger`` is the version that was registered last, as long as it is not champion.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlparse

# Before MLflow itself: it sets how MLflow behaves when imported.
from expunge.release.tracking import (  # isort: skip
    PROCESS, STATE, TrainingLog, default_tracking_uri, end_dead_runs, log_datasets, log_files, open_store, run_ending,
)  # fmt: skip
import mlflow
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from expunge.errors import ExpungeError
from expunge.release.model_version import Evidence, ModelVersion
from expunge.release.races import tried_again
from expunge.release.store_errors import answered, answering
from expunge.release.stored_model import check_folder, diffusers_folder, log_folder
from expunge.release.stored_version import as_input, as_version
from expunge.takedown.model_name import DEFAULT_NAME, check_name, quoted
from expunge.takedown.owner import this_owner

__all__ = ["Evidence", "ModelVersion", "Registry", "TrainingLog"]

CHAMPION, FORMER, CHALLENGER = "champion", "former-champion", "challenger"
DRAWS, HIDDEN = "draws_taken_down", "hidden"  # tags: request ids; "true" if Expunge is not to open the version
RESERVED_TAGS = ("digest", "evidence_runs", "registered_at", DRAWS, HIDDEN)
HIGHEST_VERSION = 2**31 - 1  # what the stores' databases hold


class Registry:
    """The versions of one registered model in an MLflow store.

    Opening it also points ``mlflow.pyfunc.load_model`` and the rest of MLflow in this process at that store.

    Args:
        tracking_uri: an MLflow server or database; by default ``MLFLOW_TRACKING_URI``, else
            ``.expunge/mlflow.db`` in the working directory, with the files in ``.expunge/mlartifacts``.
        name: the registered model.

    Raises:
        ExpungeError: the store does not answer, or takes no such name. So do all methods.
    """

    def __init__(self, tracking_uri: str | None = None, name: str = DEFAULT_NAME) -> None:
        self.name = check_name(name)
        self.tracking_uri = tracking_uri or default_tracking_uri()
        self._client, self._experiment_id = open_store(self.tracking_uri)
        with answering(self.tracking_uri):
            mlflow.set_tracking_uri(self.tracking_uri)

    @answered
    def register(self, folder: Path, digest: str, evidence: Evidence) -> ModelVersion:
        """Store a diffusers folder as a new version and call it ``challenger``.

        The same digest is one version: a second call keeps its number, its files and the runs that it was registered
        with, and makes the new evidence the version's own.

        Args:
            folder: a stock diffusers folder, weights as safetensors.
            digest: hash of the model.
            evidence: facts, numbers and files.

        Raises:
            ExpungeError: the folder is no diffusers folder or holds a pickle, a tag's name is taken, the digest is
                none, one of the files is not there, or the store does not answer.
        """
        check_folder(folder)
        if taken := sorted(set(evidence.tags) & set(RESERVED_TAGS)):
            raise ExpungeError(f"tags: {', '.join(taken)} cannot be given, the registry itself writes it.")
        found = self.with_digest(digest)
        tags = {**evidence.tags, "digest": digest, "registered_at": datetime.now(UTC).isoformat()}
        mine = {PROCESS: this_owner("register")}
        run = self._client.create_run(self._experiment_id, tags=tags | mine, run_name=evidence.run_name)
        run_id = run.info.run_id
        with run_ending(self._client, run_id):
            log_files(self._client, run_id, evidence.files)
            log_datasets(self._client, run_id, [as_input(*each) for each in evidence.datasets.items()])
            if found:
                version = self._renew(found, run_id, tags, evidence)
            else:
                version = self._store(folder, run_id, tags, evidence)
        self.call_challenger(version)
        return self.get(version)

    @answered
    def call_challenger(self, version: int) -> None:
        """Set the alias of the version that was registered last, unless that is champion."""
        current = self.champion()
        if current is None or current.version != version:
            tried_again(lambda: self._client.set_registered_model_alias(self.name, CHALLENGER, str(version)))

    @answered
    def call_champion(self, champion: int, former: int | None) -> None:
        """Set the aliases: which version is champion, and which one was before. Only what differs is written."""
        tried_again(lambda: self._set_aliases(champion, former))

    def _set_aliases(self, champion: int, former: int | None) -> None:
        aliases = {name: int(at) for name, at in self._client.get_registered_model(self.name).aliases.items()}
        wanted: dict[str, int | None] = {CHAMPION: champion, FORMER: former}
        if aliases.get(CHALLENGER) == champion:
            wanted[CHALLENGER] = None
        for alias, version in wanted.items():
            if version is None and alias in aliases:
                self._client.delete_registered_model_alias(self.name, alias)
            elif version is not None and aliases.get(alias) != version:
                self._client.set_registered_model_alias(self.name, alias, str(version))

    @answered
    def end_dead_runs(self) -> list[str]:
        """End the runs whose process was killed on this host; returns their ids."""
        return end_dead_runs(self._client, self._experiment_id)

    @answered
    def tag(self, version: int, key: str, value: str) -> None:
        """Set one tag of a version."""
        self._client.set_model_version_tag(self.name, str(version), key, value)

    @answered
    def champion(self) -> ModelVersion | None:
        """The version that is called champion, or None before the first promotion."""
        return self._find(CHAMPION)

    @answered
    def history(self) -> list[ModelVersion]:
        """Every version, newest first."""
        return self._search(f"name = {quoted(self.name)}")

    @answered
    def get(self, version: int | str) -> ModelVersion:
        """The version with a number or an alias.

        Raises:
            ExpungeError: there is none; the message lists what there is.
        """
        found = self._find(str(version))
        if found is None:
            known = ", ".join(str(word) for each in self.history() for word in (each.version, *each.aliases))
            raise ExpungeError(f"registered model {self.name} has no version '{version}'. It has {known or 'none'}.")
        return found

    @answered
    def folder(self, version: int | str) -> Path:
        """The diffusers folder of a version, to be read and not changed.

        The store's own if the store is on this machine, else a copy, made once, in ``.expunge/models``.

        Raises:
            ExpungeError: there is none; or it is hidden, and not champion again.
        """
        chosen = self.get(version)
        if chosen.tags.get(HIDDEN) and CHAMPION not in chosen.aliases:
            raise ExpungeError(
                f"version {chosen.version} of {self.name} is hidden: it still draws what {chosen.tags.get(DRAWS)} took "
                "down. With `expunge purge --superseded-versions keep` it can be opened again."
            )
        uri = self._client.get_model_version_download_uri(self.name, str(chosen.version))
        if uri.startswith("file:"):
            # Read directly: MLflow unquotes the address twice, and so loses folders with a "%" in their path.
            return diffusers_folder(Path(unquote(urlparse(uri).path)))
        copies = STATE.resolve() / "models"
        unnamed = sha256(f"{self.tracking_uri} {self.name} {chosen.version}".encode()).hexdigest()
        here = copies / (chosen.digest or unnamed).replace(":", "-")
        if not here.exists():
            copies.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=copies) as half:
                whole = mlflow.artifacts.download_artifacts(uri, dst_path=half, tracking_uri=self.tracking_uri)
                try:
                    Path(whole).rename(here)
                except OSError:
                    if not here.exists():  # Else another process was quicker, with the same files.
                        raise
        return diffusers_folder(here)

    @answered
    def attach(self, version: int | str, files: Mapping[str, Path]) -> None:
        """Keep files or folders (a report, certificates) in the version's run, by the folder they go to."""
        log_files(self._client, self.get(version).run_id, files)

    @answered
    def read(self, version: int | str, file: str) -> str:
        """A text file of the version's evidence, by its path in the run, e.g. ``evidence/findings.json``.

        Raises:
            ExpungeError: there is none; or the store does not answer.
        """
        with tempfile.TemporaryDirectory() as folder:
            copied = self._client.download_artifacts(self.get(version).run_id, file, folder)
            return Path(copied).read_text(encoding="utf-8")

    @answered
    def fetch(self, version: int | str, folder: str, to: Path) -> None:
        """Copy a folder of the version's evidence, over what lies there; one that is not there holds nothing."""
        run_id = self.get(version).run_id
        if not self._client.list_artifacts(run_id, folder):
            return
        with tempfile.TemporaryDirectory() as here:
            copied = self._client.download_artifacts(run_id, folder, here)
            shutil.copytree(copied, to, dirs_exist_ok=True)

    @answered
    def delete(self, version: int) -> None:
        """Delete a version and its model's files. Its runs stay, with report, certificates and numbers."""
        source = urlparse(self._client.get_model_version(self.name, str(version)).source or "")
        if source.scheme == "models":  # logged by us; files of elsewhere are not ours
            logged = self._client.get_logged_model(source.path.lstrip("/"))
            get_artifact_repository(logged.artifact_location, self.tracking_uri).delete_artifacts()
            self._client.delete_logged_model(logged.model_id)
        self._client.delete_model_version(self.name, str(version))

    @answered
    def with_digest(self, digest: str) -> ModelVersion | None:
        """The version with a digest, None if there is none.

        Raises:
            ExpungeError: the digest is none; or the store does not answer.
        """
        if not re.fullmatch(r"[\w:.-]{8,200}", digest):
            raise ExpungeError(f"digest: {digest!r} is none; give a hash such as a SHA-256 in hexadecimal.")
        found = self._search(f"name = {quoted(self.name)} and tags.digest = '{digest}'")
        return found[0] if found else None

    @answered
    def latest_report(self) -> Path | None:
        """The newest version's report, copied below ``.expunge/reports``; None if no version has one."""
        wanted = "report/report.html"
        for version in self.history():
            if any(item.path == wanted for item in self._client.list_artifacts(version.run_id, "report")):
                target = STATE.resolve() / "reports" / f"{self.name}-{version.version}"
                target.mkdir(parents=True, exist_ok=True)
                return Path(self._client.download_artifacts(version.run_id, wanted, str(target)))
        return None

    def _store(self, folder: Path, run_id: str, tags: dict[str, str], evidence: Evidence) -> int:
        mlflow.set_tracking_uri(self.tracking_uri)
        uri, model_id = log_folder(folder, run_id, tags.get("base", ""))
        self._log(run_id, evidence.metrics, model_id)
        try:
            self._client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # The version appears with its digest or not at all: a registration cut short is simply repeated.
        made = self._client.create_model_version(
            self.name, uri, run_id, tags, description=evidence.description, model_id=model_id
        )
        return int(made.version)

    def _renew(self, version: ModelVersion, run_id: str, tags: dict[str, str], evidence: Evidence) -> int:
        """Make a run's evidence that of a version that was there before."""
        self._log(run_id, evidence.metrics, self._client.get_model_version(self.name, str(version.version)).model_id)
        self._client.update_model_version(self.name, str(version.version), evidence.description)
        runs = [*version.earlier_runs, version.run_id, run_id]
        # The evidence first, the time last: cut short, the version is as old as it was, and its work is done again.
        for name, value in ({"evidence_runs": json.dumps(runs)} | tags).items():
            self.tag(version.version, name, value)
        for name in set(version.tags) - set(tags) - set(RESERVED_TAGS):
            self._client.delete_model_version_tag(self.name, str(version.version), name)
        return version.version

    def _log(self, run_id: str, metrics: Mapping[str, float], model_id: str | None) -> None:
        now = int(datetime.now(UTC).timestamp() * 1000)
        given = [Metric(name, float(value), now, 0, model_id=model_id) for name, value in metrics.items()]
        self._client.log_batch(run_id, metrics=given)

    def _search(self, query: str) -> list[ModelVersion]:
        found = self._client.search_model_versions(query, order_by=["version_number DESC"])
        # A search leaves the aliases out.
        aliases = self._client.get_registered_model(self.name).aliases if found else {}
        return [
            as_version(each, [alias for alias, at in aliases.items() if str(at) == str(each.version)]) for each in found
        ]

    def _exists(self) -> bool:
        try:
            self._client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        return True

    def _find(self, version: str) -> ModelVersion | None:
        try:
            if version.isdecimal():
                if int(version) > HIGHEST_VERSION:
                    return None
                found = self._client.get_model_version(self.name, version)
            else:
                found = self._client.get_model_version_by_alias(self.name, version)
        except MlflowException as error:
            # INVALID_PARAMETER_VALUE is MLflow's word for an alias that nothing carries.
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            if error.error_code == "PERMISSION_DENIED" and not self._exists():
                return None  # with accounts, MLflow's word for an alias of a model that is not there
            raise
        return as_version(found, list(found.aliases))
