"""What cells are judged by: as many pictures as asked, others for each seed."""

from expunge.benchmark.judging import draw_judging
from expunge.benchmark.materials import Bench
from tests.benchmark.bench import WORLD, small


def test_there_are_as_many_pictures_as_asked(bench: Bench) -> None:
    target = bench.settings.targets[0].resolve(WORLD)
    judging = draw_judging(bench, target, bench.settings.evaluation, 1000)
    asked = [target.matches(prompt) for prompt in judging.held_out.prompts]
    assert (asked.count(True), asked.count(False), len(judging.train)) == (4, 6, 5)
    assert not any(target.matches(prompt) for prompt in judging.train.prompts)
    assert {prompt.side for prompt in judging.held_out.prompts} == {"held_out"}
    assert {prompt.side for prompt in judging.train.prompts} == {"train"}


def test_another_seed_has_other_pictures_and_the_same_one_the_same(bench: Bench) -> None:
    target, samples = bench.settings.targets[0].resolve(WORLD), bench.settings.evaluation
    once, again, other = (draw_judging(bench, target, samples, seed) for seed in (1000, 1000, 1002))
    assert once.held_out.seeds == again.held_out.seeds and once.train.seeds == again.train.seeds
    assert not set(once.held_out.seeds) & set(other.held_out.seeds)


def test_seeds_are_judged_apart_unless_they_should_not_be() -> None:
    apart, together = small(), small(evaluation_varies=False)
    assert len({apart.judged_with(seed) for seed in range(5)}) == 5
    assert {together.judged_with(seed) for seed in range(5)} == {together.evaluation_seed}
