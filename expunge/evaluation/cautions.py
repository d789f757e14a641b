"""What a reader of an evaluation should be warned of."""

from expunge.evaluation.evaluation import Evaluation, was_drawn
from expunge.judges.panel import Panel
from expunge.judges.zero_shot import FEWEST
from expunge.metrics.sample import Pair


def warnings_of(evaluation: Evaluation, pair: Pair) -> list[str]:
    """What speaks against the numbers themselves."""
    found = []
    if evaluation.one_judge:
        found.append("Classifier and CLIP are the same judge: no second opinion.")
    for each in evaluation.targets:
        ua = each.numbers.get("unlearning_accuracy")
        if ua is not None and not was_drawn(ua):
            found.append(f"“{each.name}” was hardly drawn before: what was not there cannot be gone.")
    for name, pictures in (("The model", pair.now), ("The model measured against", pair.was)):
        plain = int((pictures.contrasts == 0).sum())
        if len(set(pictures.fingerprints)) == 1:
            found.append(f"{name} draws one and the same picture for all {len(pictures)} prompts and seeds.")
        elif plain:
            found.append(f"{name} draws one plain colour in {plain} of {len(pictures)} pictures.")
    if "too high" in evaluation.frechet_features:
        found.append(f"FD rests on {evaluation.frechet_features}.")
    return found


def without_limits(panel: Panel) -> list[str]:
    """Of which factors the zero-shot judges name a level whatever they see."""
    if not panel.without_limits:
        return []
    factors = ", ".join(panel.without_limits)
    return [f"Too few of the base's own pictures ask for a level of {factors} ({FEWEST} needed): the zero-shot judges "
            "name one even where a picture shows nothing. Raise reference_pictures."]  # fmt: skip
