"""A class-conditional model too small to draw anything, but real in every part."""

import torch

from expunge.models.families.class_conditional import ClassConditional
from expunge.zoo.denoiser import make_scheduler
from expunge.zoo.digits.digits_data import CLASSES
from expunge.zoo.digits.digits_denoiser import make_denoiser


def make_tiny_digits(seed: int = 0) -> ClassConditional:
    """Random weights from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = make_denoiser((16, 16))
    unet.class_embedding.weight.data *= 20  # as they come, classes hardly tell in the pictures
    return ClassConditional(unet, make_scheduler(), CLASSES)
