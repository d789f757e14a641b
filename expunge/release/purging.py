"""Purging: pictures of what was taken down leave tracking server and local folders.

``steps/artifacts.py`` does the same with ZenML's artifacts, which this room knows nothing of.
"""

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from expunge.evaluation.result import EvaluationResult
from expunge.pictures.picture_store import PICTURES, PictureStore
from expunge.release.chain import folder_of
from expunge.release.model_version import SEPARATOR
from expunge.release.registry import Registry
from expunge.release.retention import Thumbnails
from expunge.release.settling import REPORTS
from expunge.release.store_errors import answering
from expunge.release.superseded import Decided, settle_superseded
from expunge.release.taken_down import TakenDown
from expunge.release.tracking import open_store

PURGED_OF = "purged_of"  # tag of a version: the requests whose pictures left its reports

# (page, names of targets, whether a prompt asks for one, whether to leave thumbnails, side of pairs) → page, how many
PurgedPage = Callable[[str, Collection[str], Callable[[str], bool], bool, str], tuple[str, int]]
Shown = Mapping[str, Sequence[TakenDown]]  # by the side of a pair, what its model draws of what was taken down


class Purged(BaseModel):
    """What was removed, or would be.

    Attributes:
        requests: ids of the closed requests that it was about.
        artifact_pictures: pictures in ZenML's artifacts.
        artifact_gradients: gradient caches among ZenML's artifacts.
        artifact_models: models of deleted versions among ZenML's artifacts.
        stored_files: files with drawn pictures, in the local store.
        page_pictures: pictures in pages: artifacts, tracking server, local folders.
        versions: by registered version, what it still draws and what becomes of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    requests: tuple[str, ...] = ()
    artifact_pictures: int = 0
    artifact_gradients: int = 0
    artifact_models: int = 0
    stored_files: int = 0
    page_pictures: int = 0
    versions: dict[str, str] = {}


class PurgePlan:
    """What is to be purged, and how.

    Args:
        taken: what was taken down; nothing, if pictures are to stay.
        versions: what is to become of every registered version.
        thumbnails: what is left of pictures in pages.
        page_of: purges a page: ``expunge.reports.purged_page``.
        dry_run: count alone, and change nothing.
    """

    def __init__(
        self,
        taken: Sequence[TakenDown],
        versions: Sequence[Decided],
        thumbnails: Thumbnails,
        page_of: PurgedPage,
        dry_run: bool = False,
    ) -> None:
        self.taken, self.versions, self.dry_run = taken, versions, dry_run
        self._thumbnails, self._page_of = thumbnails, page_of

    @property
    def deleted(self) -> set[str]:
        """Digests of the models that are to be deleted."""
        return {each.version.digest for each in self.versions if each.act == "delete"}

    def shown(self, models: Collection[str], made_at: datetime) -> list[TakenDown]:
        """What pictures by these models, by digest, drawn at that time, may show."""
        return [each for each in self.taken if each.is_drawn_by(models, made_at)]

    def page(self, page: str, shown: Shown) -> tuple[str, int]:
        """A page without the pictures of those targets, and how many there were."""
        count = 0
        for side, targets in shown.items():
            shows = partial(_named, targets)
            names = {each.target.name for each in targets}
            page, gone = self._page_of(page, names, shows, self._thumbnails == "blurred", side)
            count += gone
        return page, count


def _named(targets: Sequence[TakenDown], text: str) -> bool:
    return any(each.named_in(text) for each in targets)


def purge(plan: PurgePlan, registry: Registry, pictures: Path = PICTURES) -> Purged:
    """Purge the local store of drawn pictures, and the pages below ``.expunge`` and on the tracking server; settle
    superseded versions. Done again it changes nothing.

    Args:
        pictures: the store of drawn pictures; the pages of evaluations lie beside it.
    """
    stored = _purge_store(plan, PictureStore(pictures)) if pictures.is_dir() else 0
    pages = _purge_reports(plan, registry) + _purge_evaluations(plan, pictures.parent)
    if not plan.dry_run:
        settle_superseded(registry, plan.versions)
    versions = {str(each.version.version): str(each) for each in plan.versions if each.drawn}
    ids = tuple(sorted(each.request_id for each in plan.taken))
    return Purged(requests=ids, stored_files=stored, page_pictures=pages, versions=versions)


def _purge_store(plan: PurgePlan, store: PictureStore) -> int:
    """A file with a picture that is to go leaves as a whole; what is wanted of it is drawn again."""
    count = 0
    for shard in store.shards():
        shown = plan.shown([shard.model], shard.written_at)
        untold = plan.taken and not shard.model  # written before files said what they show
        if untold or any(each.target.matches(prompt) for each in shown for prompt in shard.prompts):
            count += 1
            if not plan.dry_run:
                shard.path.unlink(missing_ok=True)
    return count


def _purge_reports(plan: PurgePlan, registry: Registry) -> int:
    """Of every version, in its local folder and in its runs. A tag says what they were purged of already."""
    client, count = open_store(registry.tracking_uri)[0], 0
    for version in registry.history() if plan.taken else ():
        models = {"Before": version.tags.get("sha256_base_model", ""), "After": version.digest}
        shown = {side: plan.shown([digest], version.registered_at) for side, digest in models.items()}
        for page in sorted(folder_of(REPORTS, version.name, version.version).glob("*.html")):
            count += _purge_file(plan, page, shown)
        done = set(version.tags.get(PURGED_OF, "").split(SEPARATOR))
        left = {side: [each for each in each_side if each.request_id not in done] for side, each_side in shown.items()}
        if not any(left.values()):
            continue
        for run_id in (*version.earlier_runs, version.run_id):
            with answering(registry.tracking_uri), tempfile.TemporaryDirectory() as here:
                pages = [item.path for item in client.list_artifacts(run_id, "report") if item.path.endswith(".html")]
                for path in pages:
                    copied = Path(client.download_artifacts(run_id, path, here))
                    if (purged := _purge_file(plan, copied, left)) and not plan.dry_run:
                        client.log_artifact(run_id, str(copied), "report")
                    count += purged
        if not plan.dry_run:
            of = {each.request_id for each_side in shown.values() for each in each_side}
            registry.tag(version.version, PURGED_OF, SEPARATOR.join(sorted(of)))
    return count


def _purge_evaluations(plan: PurgePlan, folder: Path) -> int:
    """Of evaluations that people asked for, in their folders."""
    count = 0
    for page in sorted(folder.glob("*/evaluation.html")) if plan.taken else ():
        numbers = page.with_suffix(".json")
        if numbers.is_file():
            result = EvaluationResult.model_validate_json(numbers.read_bytes())
            made_at = datetime.fromtimestamp(page.stat().st_mtime, UTC)
            models = {"Before": result.against.digest, "After": result.model.digest}
            count += _purge_file(plan, page, {side: plan.shown([each], made_at) for side, each in models.items()})
    return count


def _purge_file(plan: PurgePlan, file: Path, shown: Shown) -> int:
    page, count = plan.page(file.read_text(encoding="utf-8"), shown)
    if count and not plan.dry_run:
        file.write_text(page, encoding="utf-8")
    return count
