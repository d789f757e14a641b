"""The case: what a run is about, resolved once and handed to every step instead of names."""

import hashlib
import json
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr

from expunge.errors import ExpungeError
from expunge.judges.compare import with_references
from expunge.judges.likeness import References
from expunge.judges.load_panel import load_panel
from expunge.judges.panel import Panel
from expunge.models.device import choose_device
from expunge.models.hardware import HardwareSettings, Precision
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.load_world import load_world
from expunge.prompts.named_targets import named_requests, read_targets
from expunge.prompts.open_requests import opened
from expunge.prompts.target import Target, resolve_forgotten, resolve_targets
from expunge.prompts.world import Prompt, World
from expunge.takedown.request import TakedownBatch

if TYPE_CHECKING:  # torch takes seconds to import
    from expunge.models.text_to_image import TextToImage

Model = TypeVar("Model", bound="TextToImage")
ON_CPU = HardwareSettings(device="cpu")
_PANELS: dict[tuple[str, str, str], Panel] = {}
_LOADING = threading.Lock()  # mapped steps are threads of one process


class Case(BaseModel):
    """Targets, world, judges, drawing and device of one run, with the content hash of everything in it.

    Attributes:
        batch: the requests, and those of earlier runs.
        targets: what is to be forgotten, one for each request.
        forgotten: what earlier runs made the model forget, as far as the world asks for it.
        world_name: as it was given, for people.
        world: what the model draws, whole.
        judges: name of the panel; ``panel`` loads it.
        judges_digest: SHA-256 of the judges' weights; ``panel`` refuses others.
        drawing: how pictures are drawn, everywhere in the run.
        device: where models run, as torch calls it.
        precision: in which they compute.
        processes: how many draw and train together.
        sharded: whether each of them trains a part of the denoiser.
        references: what two judges know of memorised pictures, see ``compare_pictures``; None: it is about none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format_version: Literal[1] = 1
    batch: TakedownBatch = TakedownBatch(requests=())
    targets: tuple[Target, ...] = ()
    forgotten: tuple[Target, ...] = ()
    world_name: str
    world: World
    judges: str
    judges_digest: str
    drawing: DrawingSettings
    device: str = "cpu"
    precision: Precision = "float32"
    processes: int = 1
    sharded: bool = False
    references: tuple[References, References] | None = None
    _nameless: bool = PrivateAttr(default=False)
    _given: Panel | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, world: World, panel: Panel, drawing: DrawingSettings, name: str = "given") -> "Case":
        """A case with judges that have no name, as in a notebook. Written down and read again, it has lost them."""
        case = cls(world_name=name, world=world, judges=name, judges_digest=panel.digest(), drawing=drawing)
        case._given, case._nameless = panel, True
        return case

    def digest(self) -> str:
        """SHA-256 over all of it, the world's text and the judges' weights included."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    @property
    def has_names(self) -> bool:
        """Whether all of it can be written down and read again: not judges that were given as they are."""
        return not self._nameless

    def panel(self) -> Panel:
        """The judges, loaded once in a process.

        Raises:
            ExpungeError: they are not there, or their weights are no longer those that the case was resolved with.
        """
        if self._given is not None:
            return self._given
        panel = _panel(self.judges, self.world, self.device)
        if panel.digest() != self.judges_digest:
            raise ExpungeError(
                f"judges: the weights of '{self.judges}' changed since this case was resolved; start the run again."
            )
        if self.references:
            self._given = panel = with_references(panel, self.references)
        return panel

    def shown(self, references: tuple[References, References]) -> "Case":
        """The same, whose judges know memorised pictures by these references."""
        case = self.model_copy(update={"references": references})
        case._given = with_references(self.panel(), references)
        return case

    def placed(self, model: Model) -> Model:
        """The model where and in the precision in which the case's models run, drawing in its size; in place.

        Raises:
            ExpungeError: it does not draw that size.
        """
        return model.at_size(self.drawing.size).on(self.device, self.precision)

    def limited(self, own: PictureSet) -> "Case":
        """The same, whose zero-shot judges know what shows nothing by pictures that the base itself drew.

        Trained judges stay as they are. What was asked for something forgotten before is left out: it shows another.
        Written down and read again, the case has lost the limits.
        """
        panel = self.panel()
        if not panel.zero_shot:
            return self
        kept = own.where(lambda prompt: not self.asks_for_forgotten(prompt))
        first = panel.first.picture_features(kept.pictures) if panel.first else None
        case = self.model_copy()
        case._given = panel.limited(kept.prompts, panel.clip.picture_features(kept.pictures), first)
        return case

    @property
    def gone(self) -> tuple[Target, ...]:
        """Everything that the model is not to draw in the end: targets, and what was forgotten before."""
        return (*self.targets, *self.forgotten)

    def asks_for_target(self, prompt: Prompt) -> bool:
        """Whether the prompt asks for one of the targets."""
        return any(target.matches(prompt) for target in self.targets)

    def asks_for_forgotten(self, prompt: Prompt) -> bool:
        """Whether the prompt asks for something forgotten before."""
        return any(target.matches(prompt) for target in self.forgotten)

    def asks_for_gone(self, prompt: Prompt) -> bool:
        """Whether the prompt asks for a target or for something forgotten before."""
        return any(target.matches(prompt) for target in self.gone)

    def is_measured(self, prompt: Prompt) -> bool:
        """Whether the run measures this prompt: it asks for a target of its own, or for nothing forgotten before."""
        return self.asks_for_target(prompt) or not self.asks_for_gone(prompt)

    def about(self, targets: Sequence[Target], forgotten: Sequence[Target] = ()) -> "Case":
        """The same world, judges, drawing and device, about other targets."""
        return self.model_copy(update={"targets": tuple(targets), "forgotten": tuple(forgotten)})

    def drawn_with(self, drawing: DrawingSettings) -> "Case":
        """The same case, drawn in another way."""
        return self.model_copy(update={"drawing": drawing})


def resolve_case(
    world: str,
    judges: str,
    drawing: DrawingSettings,
    batch: TakedownBatch | None = None,
    hardware: HardwareSettings = ON_CPU,
) -> Case:
    """Find world, judges and targets: the only place in a run that does.

    Args:
        world: a named world (``zoo``, ``digits``) or a YAML file.
        judges: a named panel or an open_clip model.
        drawing: how pictures are drawn.
        batch: the requests; none for a case without targets, which ``Case.about`` gives some.
        hardware: where models run, and in which precision.

    Raises:
        ExpungeError: world or judges are not there, or a request names nothing that the model draws.
    """
    requests = batch or TakedownBatch(requests=())
    known = opened(load_world(world), (*requests.forgotten, *requests.requests))
    case = _unasked(known, world, judges, drawing, hardware)
    targets, forgotten = resolve_targets(requests, known), resolve_forgotten(requests, known)
    return case.about(targets, forgotten).model_copy(update={"batch": requests})


def _unasked(known: World, name: str, judges: str, drawing: DrawingSettings, hardware: HardwareSettings) -> Case:
    """A case about nothing yet."""
    device = choose_device(hardware.device)
    return Case(
        world_name=name,
        world=known,
        judges=judges,
        judges_digest=_panel(judges, known, device).digest(),
        drawing=drawing,
        device=device,
        precision=hardware.precision,
        processes=hardware.processes,
        sharded=hardware.sharded,
    )


def name_case(
    targets: Sequence[str], world: str, judges: str, drawing: DrawingSettings, hardware: HardwareSettings = ON_CPU
) -> Case:
    """As ``resolve_case``, about targets as people type them, ``KIND:NAME``."""
    known = opened(load_world(world), named_requests(targets))
    return _unasked(known, world, judges, drawing, hardware).about(read_targets(targets, known))


def _panel(judges: str, world: World, device: str) -> Panel:
    key = (judges, device, hashlib.sha256(world.model_dump_json().encode()).hexdigest())
    with _LOADING:
        if key not in _PANELS:
            _PANELS[key] = load_panel(judges, world, device)
        return _PANELS[key]
