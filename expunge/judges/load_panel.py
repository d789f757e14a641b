"""Which judges a run trusts: the zoo's own, the digits', or one or two open_clip models."""

from dataclasses import replace

from expunge.errors import ExpungeError
from expunge.judges.detectors import detector_judges
from expunge.judges.open_clip_judge import OpenClipJudge
from expunge.judges.panel import Panel
from expunge.judges.protocols import ClipJudge
from expunge.judges.same_judge import refuse_one_judge_twice
from expunge.judges.zero_shot import ZeroShotClassifier
from expunge.plugins import load_dotted, load_plugin, plugin_names
from expunge.prompts.world import World

AND = " + "  # between two models
WITH = " with "  # before a detector


def load_panel(judges: str, world: World, device: str = "cpu") -> Panel:
    """The panel of judges called ``judges``.

    Args:
        judges: ``zoo``, ``digits`` (trained on first use), or an open_clip model, with its weight tag after a colon
            if it needs one (``ViT-B-32:laion2b_s34b_b79k``, ``hf-hub:OWNER/NAME``, ``local-dir:FOLDER``); or two of
            them, ``ONE + OTHER``: the one classifies, the other is the second judge. Behind each of these may stand
            detectors, ``JUDGES with NAME with NAME``: see ``detectors``.
        world: what the model draws.
        device: where open_clip models run, as torch calls it; those of a name of ours are small and stay on the CPU.

    Raises:
        ExpungeError: open_clip cannot load a model, there are more than two, two are one and the same judge, or a
            detector is not there.
    """
    judges, *names = judges.split(WITH)
    panel = _plain_panel(judges, world, device)
    found = detector_judges([load_dotted("detectors", each.strip())() for each in names], panel.classifiers, world)
    return replace(panel, classifiers={**panel.classifiers, **found})


def _plain_panel(judges: str, world: World, device: str) -> Panel:
    if judges in plugin_names("judges"):
        return load_plugin("judges", judges)()
    models = judges.split(AND)
    if len(models) > 2:
        raise ExpungeError(f"judges: {len(models)} open_clip models given; at most 2, ONE{AND}OTHER.")
    clips = [load_open_clip(each.strip(), device) for each in models]
    first, clip = clips[0], clips[-1]
    if first is not clip:
        refuse_one_judge_twice(first, clip, [level for levels in world.factors.values() for level in levels])
    classifiers = {name: ZeroShotClassifier(first, name, world) for name in world.balanced}
    opinions = {} if first is clip else {name: ZeroShotClassifier(clip, name, world) for name in world.slots}
    return Panel(classifiers, clip, opinions)


def load_open_clip(name: str, device: str = "cpu") -> ClipJudge:
    """The open_clip model of that name, written as for ``load_panel``.

    Raises:
        ExpungeError: open_clip cannot load it.
    """
    named = name.startswith(("hf-hub:", "local-dir:"))
    model, _, pretrained = (name, "", "") if named else name.partition(":")
    return OpenClipJudge(model, pretrained or None, device=device)
