"""Picture sets as the unlearning loop takes them."""

import torch

from expunge.models.conditions import filled_up
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.unlearning.batches import LatentSet

ANCHOR = "in place of"  # of a stratum's name: pictures of what is to be drawn instead are strata of their own


def encode(model: TextToImage, pictures: PictureSet, anchors: PictureSet | None = None) -> LatentSet:
    """Run autoencoder and text encoder once, so that neither is needed inside the loop.

    Args:
        model: whose autoencoder and text encoder.
        pictures: the set has anchors if every prompt has its paired sentence.
        anchors: more pictures, of what is to be drawn instead of what their prompts ask for.
    """
    shown, strata = len(pictures), [prompt.stratum for prompt in pictures.prompts]
    if anchors is not None and len(anchors):
        pictures = concatenate([pictures, anchors])
        strata += [f"{ANCHOR} {prompt.stratum}" for prompt in anchors.prompts]
    sentences = [prompt.text for prompt in pictures.prompts]
    paired = [prompt.paired for prompt in pictures.prompts if prompt.paired is not None]
    anchored = len(paired) == len(pictures)
    texts = list(dict.fromkeys(sentences + (paired if anchored else [])))
    known = model.encode_texts(texts), model.encode_texts([""])
    alike = {name: filled_up([each[name] for each in known]) for name in known[0]}
    place = {text: index for index, text in enumerate(texts)}
    return LatentSet(
        latents=model.encode_pictures(pictures.pictures),
        prompt_indices=torch.tensor([place[text] for text in sentences]),
        conditions={name: asked for name, (asked, _) in alike.items()},
        strata=strata,
        anchor_indices=torch.tensor([place[text] for text in paired]) if anchored else None,
        empty={name: empty for name, (_, empty) in alike.items()},
        shows_target=torch.arange(len(pictures)) < shown if shown < len(pictures) else None,
    )
