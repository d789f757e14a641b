"""Evaluate one model against another: draw and judge shard by shard, score, write everything down."""

from expunge.errors import ExpungeError
from expunge.evaluation.plan import Shard, plan_evaluation
from expunge.evaluation.score import Question, Scores, score
from expunge.judges.judged import JudgedPictures, judge_pictures
from expunge.judges.panel import Panel
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.pictures.picture_store import PictureStore
from expunge.progress import progress_bar
from expunge.prompts.world import World


def evaluate_models(
    question: Question,
    model: TextToImage,
    against: TextToImage,
    world: World,
    panel: Panel,
    store: PictureStore,
    progress: bool = True,
) -> tuple[Scores, list[Shard]]:
    """Draw the plan with both models and score it. One shard of pictures is in memory at a time.

    Args:
        question: what the evaluation is about.
        model: what is measured.
        against: what it is measured against.
        store: where pictures are kept.
        progress: show progress bars.

    Raises:
        ExpungeError: the models draw pictures of different sizes, or as in ``judge_shard`` and ``score``.
    """
    check_sizes(model, against)
    shards = plan_evaluation(question.targets, world, question.profile)
    drawing, sides = question.profile.drawing, ((against, question.against), (model, question.model))
    judged: list[list[JudgedPictures]] = []
    for each, facts in sides:
        with progress_bar() as bar:
            bar.disable = not progress
            total = sum(len(shard.prompts) for shard in shards)
            task = bar.add_task(f"Pictures of {facts.source}", total=total, note="")
            judged.append([])
            for shard in shards:
                judged[-1].append(judge_shard(store.pictures(each, facts.digest, shard, drawing), panel))
                bar.advance(task, len(shard.prompts))
    return score(question, shards, judged[0], judged[1], world, panel), shards


def judge_shard(pictures: PictureSet, panel: Panel) -> JudgedPictures:
    """What the panel says of a shard.

    Raises:
        ExpungeError: the judges do not take pictures of this size.
    """
    try:
        return judge_pictures(pictures, panel)
    except ExpungeError:
        raise
    except ValueError as error:
        raise ExpungeError(f"judges: {error}. Name judges for this model, e.g. an open_clip one.") from error


def check_sizes(model: TextToImage, against: TextToImage) -> None:
    """Refuse models whose pictures cannot be compared.

    Raises:
        ExpungeError: they draw pictures of different sizes.
    """
    if model.size != against.size:
        raise ExpungeError(
            f"against: draws pictures of {against.size} pixels, the model of {model.size}; compare models of one size. "
            "Name the base of this model with --against."
        )
