"""The precision in which models compute."""

import numpy as np
import pytest
import torch

from expunge.models.diffusion import DiffusionProcess
from expunge.models.hardware import computing
from expunge.models.resolver import read_folder
from expunge.unlearning.batches import Batch, predict
from tests.families import FAMILIES
from tests.models.families.conftest import family_folder, texts_of  # noqa: F401  a fixture


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_passes_are_less_precise_and_weights_are_not(name, family_folder):  # noqa: F811
    model = read_folder(family_folder(name))
    digest = model.at_size(model.smallest_size).digest()
    how = {"steps": 2, "guidance": 2.0}
    exact = model.draw(texts_of(name), [1, 2], **how)
    model.on("cpu", "bf16")
    rough = model.draw(texts_of(name), [1, 2], **how)
    assert (rough != exact).any() and np.abs(rough.astype(int) - exact).mean() < 8
    assert model.digest() == digest and torch.bfloat16 in {p.dtype for p in model.denoiser.parameters()}
    assert {each.dtype for each in model.encode_texts(texts_of(name)).values()} <= {torch.float32, torch.int64}
    assert model.encode_pictures(exact).dtype == torch.float32
    model.on("cpu", "float32")
    assert (model.draw(texts_of(name), [1, 2], **how) == exact).all()


@pytest.mark.parametrize(("precision", "seen"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_what_a_loss_is_made_of_is_float32_again(tiny_model, precision, seen):
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    conditions = tiny_model.encode_texts(["a cat", "a dog"])
    batch = Batch(x, x.flip(0), torch.tensor([10, 900]), conditions, torch.arange(2), torch.ones(2, dtype=torch.bool))
    process, inside = DiffusionProcess(tiny_model.pipeline.scheduler), []
    process.precision = precision
    hook = tiny_model.denoiser.conv_in.register_forward_hook(lambda _, given, out: inside.append(out.dtype))
    prediction, target = predict(tiny_model.denoiser, process, batch)
    hook.remove()
    assert inside == [seen] and prediction.dtype == target.dtype == torch.float32


def test_float32_is_left_as_it_is():
    weight, given = torch.randn(3, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    with computing("float32", torch.device("cpu")):
        assert torch.equal(weight @ given, weight @ given) and (weight @ given).dtype == torch.float64
