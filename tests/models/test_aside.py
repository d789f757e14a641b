"""Parts that are kept aside come when they are asked, and are back in the end."""

import pytest
import torch

from expunge.models.aside import encoders_aside
from expunge.models.resolver import read_folder
from tests.models.families.conftest import family_folder  # noqa: F401


@pytest.mark.parametrize("name", ["stable_diffusion", "stable_diffusion_xl", "stable_diffusion_3", "flux", "sana"])
def test_it_draws_and_encodes_as_before(name: str, family_folder) -> None:  # noqa: F811
    model = read_folder(family_folder(name))
    model.at_size(model.smallest_size)
    before = model.draw(["a cat"], [0], steps=1), model.encode_texts(["a cat"])
    hooked = [
        each for each in model.parts().values() if isinstance(each, torch.nn.Module) and each is not model.denoiser
    ]
    with encoders_aside(model, "cpu:0") as send_back:  # to torch another name than cpu, and the same place
        assert hooked and all(hasattr(each, "_hf_hook") for each in hooked)
        assert not hasattr(model.denoiser, "_hf_hook")
        for _ in range(2):
            assert (model.draw(["a cat"], [0], steps=1) == before[0]).all()
            for condition, each in model.encode_texts(["a cat"]).items():
                assert torch.equal(each, before[1][condition])
            send_back()
    assert not any(hasattr(each, "_hf_hook") for each in hooked)
    assert (model.draw(["a cat"], [0], steps=1) == before[0]).all()


def test_on_the_cpu_nothing_is_moved(tiny_model) -> None:
    with encoders_aside(tiny_model, "cpu"):
        assert not any(hasattr(each, "_hf_hook") for each in tiny_model.parts().values())
