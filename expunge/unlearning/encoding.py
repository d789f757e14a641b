"""Picture sets as the unlearning loop takes them."""

import torch

from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.unlearning.batches import LatentSet


def encode(model: TextToImage, pictures: PictureSet) -> LatentSet:
    """Run autoencoder and text encoder once, so that neither is needed inside the loop.

    The set has anchors if every prompt has its paired sentence without the target.
    """
    anchored = all(prompt.paired for prompt in pictures.prompts)
    sentences = [prompt.text for prompt in pictures.prompts]
    anchors = [prompt.paired for prompt in pictures.prompts] if anchored else []
    texts = list(dict.fromkeys(sentences + anchors))
    place = {text: index for index, text in enumerate(texts)}
    return LatentSet(
        latents=model.encode_pictures(pictures.pictures),
        prompt_indices=torch.tensor([place[text] for text in sentences]),
        conditions=model.encode_texts(texts),
        strata=[prompt.stratum for prompt in pictures.prompts],
        anchor_indices=torch.tensor([place[text] for text in anchors]) if anchored else None,
        empty=model.encode_texts([""]),
    )
