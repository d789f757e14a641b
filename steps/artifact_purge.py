"""ZenML's part of a purge: what shows a taken-down target leaves the artifacts, and no cache yields it any more.

Of a set of pictures the others stay. The step that made it counts as expired from then on, so a later run makes it anew
instead of using what is left; it takes from the store of drawn pictures what that still holds.
"""

import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache

from zenml import log_metadata
from zenml.client import Client
from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer
from zenml.materializers.structured_string_materializer import HTML_FILENAME
from zenml.models import ArtifactVersionResponse, StepRunResponse
from zenml.utils import io_utils, source_utils
from zenml.utils.pagination_utils import depaginate

from expunge.case import Case
from expunge.evaluation.result import EvaluationResult
from expunge.pictures.picture_set import PictureSet
from expunge.release.findings import Findings
from expunge.release.purging import Purged, PurgePlan, purge
from expunge.release.registry import Registry
from expunge.release.retention import RetentionSettings
from expunge.release.superseded import decide
from expunge.release.taken_down import TakenDown, what_was_taken_down
from expunge.reports.purged_page import purged_page
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from materializers.picture_set import SHEET

MODEL_OF = {"pictures_before": "base", "pictures_after": "unlearned"}  # by artifact, the input that drew it
MARK = "purged"  # in an artifact's metadata: the requests that it was purged of


def purge_everything(inbox: str, registered_model: str, retention: RetentionSettings, dry_run: bool = False) -> Purged:
    """Purge ZenML's artifacts in the active stack's store, then tracking server and local folders.

    Args:
        inbox: folder or ``s3://BUCKET/PREFIX``.
        registered_model: whose requests.
        retention: the policy.
        dry_run: count alone, and change nothing.
    """
    box, registry = Inbox(open_store(inbox), registered_model), Registry(name=registered_model)
    taken = what_was_taken_down(box, registry, retention.forbidden)
    versions = decide(box, registry, retention.superseded_versions)
    plan = PurgePlan(taken, versions, retention.thumbnails, purged_page, dry_run)
    removed = ArtifactPurge(plan).run()
    rest = purge(plan, registry)
    pages = removed.page_pictures + rest.page_pictures
    return removed.model_copy(update=rest.model_dump(exclude_defaults=True) | {"page_pictures": pages})


class ArtifactPurge:
    """One pass over the artifacts in the active stack's store.

    Args:
        plan: what is to go.
    """

    def __init__(self, plan: PurgePlan) -> None:
        self.plan = plan
        self._client = Client()
        self._made_by = cache(self._client.get_run_step)

    def run(self) -> Purged:
        """Purge them; done again it changes nothing. The artifacts' names, hashes and metadata stay."""
        found = Purged()
        if self.plan.taken:
            found = Purged(
                artifact_pictures=self._each("PictureSetMaterializer", self._purge_pictures),
                artifact_gradients=self._each("GradientCacheMaterializer", self._purge_gradients),
                page_pictures=self._each("StructuredStringMaterializer", self._purge_page),
            )
        models = self._each("TextToImageMaterializer", self._purge_model) if self.plan.deleted else 0
        return found.model_copy(update={"artifact_models": models})

    def _each(self, materializer: str, purge_one: Callable[[ArtifactVersionResponse, StepRunResponse], int]) -> int:
        """Purge all artifacts of one kind whose files are there."""
        artifacts = depaginate(
            self._client.list_artifact_versions,
            artifact_store_id=self._client.active_stack.artifact_store.id,
            materializer=f"contains:{materializer}",
            hydrate=True,
        )
        made = [each for each in artifacts if each.producer_step_run_id and fileio.exists(each.uri)]
        return sum(purge_one(each, self._made_by(each.producer_step_run_id)) for each in made)

    def _purge_pictures(self, artifact: ArtifactVersionResponse, step: StepRunResponse) -> int:
        shown = self._shown(artifact, _digests(step, MODEL_OF.get(artifact.name, "model")))
        if not shown:
            return 0
        pictures: PictureSet = artifact.load()
        left = pictures.where(lambda prompt: not any(each.target.matches(prompt) for each in shown))
        if (count := len(pictures) - len(left)) and not self.plan.dry_run:
            self._expire(step)
            self._replace(artifact, left)
        self._mark(artifact, shown)
        return count

    def _purge_gradients(self, artifact: ArtifactVersionResponse, step: StepRunResponse) -> int:
        """Of a cache that a target of its case went into, facts and chart stay."""
        weights = f"{artifact.uri}/gradients.safetensors"
        shown = self._shown(artifact, _digests(step, "model"))
        if not shown or not fileio.exists(weights):
            return 0
        case: Case = step.inputs["case"][0].load()
        gone = {each.request_id for each in shown} & {target.request_id for target in case.targets}
        if gone and not self.plan.dry_run:
            self._expire(step)
            fileio.remove(weights)
        return int(bool(gone))

    def _purge_page(self, artifact: ArtifactVersionResponse, step: StepRunResponse) -> int:
        models: dict[str, list[str]] = {}  # by the side of a pair of pictures
        if "findings" in step.inputs:
            findings: Findings = step.inputs["findings"][0].load()
            hashes = findings.lineage.hashes
            models = {"Before": [hashes.base_model], "After": [hashes.unlearned_model]}
        elif "result" in step.inputs:
            result: EvaluationResult = step.inputs["result"][0].load()
            models = {"Before": [result.against.digest], "After": [result.model.digest]}
        elif "base" in step.inputs:  # looked at before anything was unlearned
            models = {"Before": _digests(step, "base")}
        shown = {side: self._shown(artifact, digests) for side, digests in models.items()}
        if not any(shown.values()):
            return 0
        page, count = self.plan.page(str(artifact.load()), shown)
        if count and not self.plan.dry_run:
            self._expire(step)
            io_utils.write_file_contents_as_string(f"{artifact.uri}/{HTML_FILENAME}", page)
        self._mark(artifact, [each for targets in shown.values() for each in targets])
        return count

    def _purge_model(self, artifact: ArtifactVersionResponse, step: StepRunResponse) -> int:
        if artifact.content_hash not in self.plan.deleted:
            return 0
        if not self.plan.dry_run:
            self._expire(step)
            fileio.rmtree(artifact.uri)
        return 1

    def _shown(self, artifact: ArtifactVersionResponse, models: Sequence[str]) -> list[TakenDown]:
        """What the artifact, drawn by these models, may show and was not purged of yet."""
        done = set(artifact.run_metadata.get(MARK, ()))
        return [each for each in self.plan.shown(models, _made_at(artifact)) if each.request_id not in done]

    def _mark(self, artifact: ArtifactVersionResponse, shown: Sequence[TakenDown]) -> None:
        if not self.plan.dry_run:
            done = {*artifact.run_metadata.get(MARK, ()), *(each.request_id for each in shown)}
            log_metadata(metadata={MARK: sorted(done)}, artifact_version_id=artifact.id)

    def _expire(self, step: StepRunResponse) -> None:
        """Before anything is removed: no later run is to find what is left of it in the cache."""
        self._client.update_step_run(step.id, cache_expires_at=datetime.now(UTC))

    def _replace(self, artifact: ArtifactVersionResponse, left: PictureSet) -> None:
        """File by file, the sheet of pictures first: a run beside this one finds a whole set at nearly any moment."""
        sheet = f"{artifact.uri}/{SHEET}"
        made_by = source_utils.load_and_validate_class(artifact.materializer, expected_class=BaseMaterializer)
        store = self._client.active_stack.artifact_store
        if not made_by(uri=artifact.uri, artifact_store=store).save_visualizations(left) and fileio.exists(sheet):
            fileio.remove(sheet)
        with tempfile.TemporaryDirectory() as folder:
            made_by(uri=folder, artifact_store=store).save(left)
            io_utils.copy_dir(folder, artifact.uri, overwrite=True)


def _digests(step: StepRunResponse, model: str) -> list[str]:
    """Of a model among the step's inputs; none if there is no such input."""
    return [each.content_hash for each in step.inputs.get(model, ()) if each.content_hash]


def _made_at(artifact: ArtifactVersionResponse) -> datetime:
    return artifact.created.replace(tzinfo=UTC)
