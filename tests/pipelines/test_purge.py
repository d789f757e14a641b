"""After closing, no picture of a target is found anywhere, the caches work on, and no run breaks on what is gone."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.models.families.stable_diffusion import StableDiffusion
from expunge.pictures.picture_set import concatenate
from expunge.prompts.target import Target
from expunge.release.purging import Purged
from expunge.release.registry import Registry
from expunge.release.retention import RetentionSettings
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from tests.conftest import PYTHON_PATH, zenml_in
from tests.pipelines.pictures_anywhere import files_below, found_in
from tests.steps.test_entrypoints import EASY, STRICT
from tests.tiny_job import main_job

pytestmark = pytest.mark.slow
MODEL, UNET = "tiny-purge", "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def zenml_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of these tests alone: others draw the same pictures, and keep them."""
    with zenml_in(tmp_path_factory.mktemp("zenml")) as home:
        yield home


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zenml_home: Path, tiny_folder: Path) -> dict[str, Any]:
    """Parameters of the main job on tiny models, in a workplace of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tiny_job("inbox", tiny_folder)


def tiny_job(inbox: str, model: Path) -> dict[str, Any]:
    return main_job(Path(), model) | {
        "inbox": inbox,
        "registered_model": MODEL,
        "evaluation": {"held_out_per_stratum": 1, "target_pictures": 6},
        "gate": EASY.model_copy(update={"minimum_retain_samples": 3}),  # when one of four subjects is left
    }


def box_of(job: dict[str, Any]) -> Inbox:
    return Inbox(open_store(job["inbox"]), MODEL)


def output(run: Any, step: str, name: str) -> Any:
    return run.steps[step].outputs[name][0].load()


def forbidden(run: Any, target: Target) -> np.ndarray:
    """The pictures of a target that a run's sets of pictures hold, by the model that draws it."""
    sets = [output(run, "draw_pool", "pool"), output(run, "diversify_datasets", "forget_set")]
    sets.append(output(run, "evaluate", "pictures_before"))
    return concatenate([each.where(target.matches) for each in sets]).pictures


class Seen:
    """Stands before the purge of a run, and remembers the pictures of its targets and where they were found."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, files: Callable[[], Iterable[tuple[str, bytes]]]) -> None:
        import steps.purge_forbidden

        self.pictures = np.zeros((0, 1, 1, 3), np.uint8)
        self.held: dict[str, int] = {}
        self._files, self._purge = files, steps.purge_forbidden.purge_everything
        monkeypatch.setattr(steps.purge_forbidden, "purge_everything", self)

    def __call__(self, *given: Any) -> Any:
        from zenml import get_step_context
        from zenml.client import Client

        run = Client().get_pipeline_run(get_step_context().pipeline_run.id)
        self.pictures = np.concatenate([forbidden(run, each) for each in output(run, "resolve_case", "case").targets])
        self.held = found_in(self._files(), self.pictures)
        return self._purge(*given)


def drawn_by(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """From now on: digest of the model and sentences, of everything that is drawn."""
    drawn, draw = [], StableDiffusion.draw

    def watched(self: StableDiffusion, texts: list[str], *rest: Any, **settings: Any) -> np.ndarray:
        drawn.append((self.digest(), tuple(texts)))
        return draw(self, texts, *rest, **settings)

    monkeypatch.setattr(StableDiffusion, "draw", watched)
    return drawn


def test_kept_pictures_leave_by_the_command(job, zenml_home: Path, tmp_path: Path) -> None:
    from pipelines.unlearn_pipeline import unlearn_pipeline
    from steps.artifact_purge import purge_everything

    cat = box_of(job).file(kind="object", target="cat").request.id
    run = unlearn_pipeline(**job, retention={"forbidden": "keep"})
    (target,) = output(run, "resolve_case", "case").targets
    pictures, everywhere = forbidden(run, target), (zenml_home, tmp_path)
    assert len(pictures) >= 12
    held = found_in(files_below(*everywhere), pictures)
    kinds = {Path(name).suffix for name in held}
    assert kinds == {".parquet", ".png", ".safetensors", ".html"}, held  # what is looked for can be found

    asked = purge_command("--dry-run")
    assert asked["requests"] == [cat] and asked["artifact_gradients"] == 1
    assert min(asked[name] for name in ("artifact_pictures", "stored_files", "page_pictures")) > 0
    assert found_in(files_below(*everywhere), pictures) == held
    assert purge_command() == asked
    assert found_in(files_below(*everywhere), pictures) == {}
    again = purge_everything("inbox", MODEL, RetentionSettings())
    assert again == Purged(requests=(cat,))
    report = str(output(run, "write_report", "report"))
    assert "pictures of models that draw it were purged" in report
    with pytest.raises(ExpungeError, match="make the cache again"):
        output(run, "cache_gradients", "gradient_cache")


def purge_command(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "expunge.cli", "purge", "--inbox", "inbox", "--model", MODEL, "--json", *arguments],
        env=os.environ | {"PYTHONPATH": PYTHON_PATH}, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_at_once_and_the_next_runs_take_from_the_caches(job, zenml_home: Path, tmp_path: Path, monkeypatch) -> None:
    from pipelines.unlearn_pipeline import unlearn_pipeline

    box, everywhere = box_of(job), (zenml_home, tmp_path)
    seen = Seen(monkeypatch, lambda: files_below(*everywhere))
    gone, models, weights, drawn = [], [], [], drawn_by(monkeypatch)
    for name in ("cat", "dog", "horse"):
        filed = box.file(kind="object", target=name).request.id
        drawn.clear()
        run = unlearn_pipeline(**job, retention={"superseded_versions": "delete"})
        assert box.state(filed).label == "fulfilled", box.state(filed).reason
        assert seen.held
        gone.append(seen.pictures)
        assert found_in(files_below(*everywhere), np.concatenate(gone)) == {}
        if models:  # the champion's pictures over the world were drawn when it was evaluated
            world = {prompt.text for prompt in output(run, "draw_pool", "pool").prompts}
            assert not [texts for model, texts in drawn if model == models[-1] and world <= set(texts)]
        champion = Registry(name=MODEL).champion()
        models.append(champion.digest)
        weights.append((Registry(name=MODEL).folder(champion.version) / "unet" / UNET).read_bytes())
    kept = Registry(name=MODEL).history()
    assert [version.version for version in kept] == [3, 2]
    assert [version.tags.get("draws_taken_down", "") for version in kept] == ["", filed]
    held = [data for name, data in files_below(*everywhere) if name.endswith(UNET)]
    assert weights[0] not in held and all(each in held for each in weights[1:])


def test_a_failed_request_is_drawn_anew_and_not_unlearned_anew(job, zenml_home: Path, tmp_path, monkeypatch) -> None:
    from pipelines.unlearn_pipeline import unlearn_pipeline

    box, seen = box_of(job), Seen(monkeypatch, lambda: files_below(zenml_home, tmp_path))
    filed = box.file(kind="object", target="car").request.id
    for statuses in (("completed", "completed"), ("completed", "cached")):
        run = unlearn_pipeline(**(job | {"gate": STRICT}))
        assert box.state(filed).label == "failed"
        assert seen.held and len(seen.pictures) >= 12
        assert found_in(files_below(zenml_home, tmp_path), seen.pictures) == {}
        steps = [run.steps[name] for name in ("draw_pool", "diversify_datasets", "cache_gradients", "evaluate")]
        assert {str(step.status) for step in steps} == {statuses[0]}
        assert str(run.steps["unlearn"].status) == statuses[1]
        box.retry(filed)
