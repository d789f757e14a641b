"""What closed forms share: one edit, of every prompt once, and what they refuse."""

from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DModel

from expunge.errors import ExpungeError
from expunge.models.conditions import TOKENS
from expunge.unlearning.methods.closed_form import EditedTexts, edited_tokens
from tests.unlearning.methods.stage import FORGET, RETAIN, Stage

METHODS = {
    "unified_concept_editing": {},
    "null_space_editing": {"null_below": 0.5},
    "orthogonal_concept_erasure": {},
}
every_method = pytest.mark.parametrize("method", METHODS)


@every_method
def test_only_the_first_step_changes_anything_and_none_costs_a_pass(method: str) -> None:
    stage = Stage(method, **METHODS[method])
    first = stage.step(0)
    after = {name: p.clone() for name, p in stage.denoiser.state_dict().items()}
    second = stage.step(1)
    assert stage.moved()
    assert all(torch.equal(after[name], p) for name, p in stage.denoiser.state_dict().items())
    assert (first.passes, second.passes) == (0, 0)
    assert first.report.change_forget is None and second.report.change_forget == 0.0


@every_method
def test_a_run_that_goes_on_does_not_edit_twice(method: str) -> None:
    stage, later = Stage(method, **METHODS[method]), Stage(method, **METHODS[method])
    stage.step(0)
    later.method.load_state_dict(stage.method.state_dict())
    later.step(1)
    assert later.moved() == set()


@every_method
def test_without_anchors_it_says_what_to_do(method: str) -> None:
    stage = Stage(method, forget=replace(FORGET, anchor_indices=None), **METHODS[method])
    with pytest.raises(ExpungeError, match="no paired sentences without the target"):
        stage.step(0)


@every_method
def test_without_cross_attention_it_says_what_to_do(method: str) -> None:
    denoiser = UNet2DModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
        block_out_channels=(8,),
        norm_num_groups=4,
    )
    with pytest.raises(ExpungeError, match="no trained cross-attention parameter, which this method moves"):
        Stage(method, denoiser.double(), cached=False)


@every_method
def test_a_denoiser_that_reads_other_tokens_than_the_encoders_is_refused(method: str) -> None:
    wide = replace(FORGET, conditions={TOKENS: FORGET.conditions[TOKENS].repeat(1, 1, 2)}, empty=None)
    stage = Stage(method, forget=wide, **METHODS[method])
    retain = replace(RETAIN, conditions={TOKENS: RETAIN.conditions[TOKENS].repeat(1, 1, 2)}, empty=None)
    stage.problem.known_sets = replace(stage.problem.sets, retain=retain)
    with pytest.raises(ExpungeError, match=r"reads 8 numbers a token and the text encoder gives 16.*choose another"):
        stage.step(0)


def test_each_prompt_is_edited_once_however_many_pictures_it_has() -> None:
    target, anchor = edited_tokens(FORGET)
    assert torch.equal(target, FORGET.conditions[TOKENS][0]) and torch.equal(anchor, FORGET.conditions[TOKENS][1])


def test_texts_are_those_of_both_sets_and_moments_are_means() -> None:
    texts = EditedTexts.of(Stage("unified_concept_editing").problem.sets, torch.device("cpu"))
    assert torch.equal(texts.kept, RETAIN.conditions[TOKENS][:3].flatten(0, 1))  # three prompts; anchors are not kept
    assert torch.equal(texts.invariant, RETAIN.empty[TOKENS][0])
    outer = torch.stack([torch.outer(a - c, c) for c, a in zip(texts.target, texts.anchor, strict=True)])
    torch.testing.assert_close(texts.displacement, outer.mean(0))
    torch.testing.assert_close(texts.displacement + texts.moments, texts.anchor.T @ texts.target / len(texts.target))
