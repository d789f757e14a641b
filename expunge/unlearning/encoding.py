"""Picture sets as the unlearning loop takes them."""

import torch

from expunge.models.picture_set import PictureSet
from expunge.models.stable_diffusion import StableDiffusion
from expunge.unlearning.data import LatentSet


def encode(model: StableDiffusion, pictures: PictureSet) -> LatentSet:
    """Run autoencoder and text encoder once, so that neither is needed inside the loop."""
    texts = list(dict.fromkeys(prompt.text for prompt in pictures.prompts))
    place = {text: index for index, text in enumerate(texts)}
    return LatentSet(
        latents=model.encode_pictures(pictures.pictures),
        prompt_indices=torch.tensor([place[prompt.text] for prompt in pictures.prompts]),
        embeddings=model.encode_texts(texts),
        strata=[prompt.stratum for prompt in pictures.prompts],
    )
