"""The zoo's denoiser: a ``UNet2DConditionModel`` on 8×8 latents with a small ``CLIPTextModel`` trained along.

v-prediction on a cosine noise schedule; the tokenizer is byte-level BPE learned on the world's own captions, in the
file format of ``CLIPTokenizer``.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from expunge.zoo.autoencoder import LATENT_CHANNELS, LATENT_SIZE
from expunge.zoo.training import Progress, Schedule, fit

MAX_TOKENS = 20  # the longest caption has 15 words
TEXT_WIDTH = 128
START, END = "<|startoftext|>", "<|endoftext|>"


@dataclass(frozen=True)
class Batch:
    """Scaled latents ``(n, 8, 8, 8)`` and token ids ``(n, 20)`` of their captions."""

    latents: torch.Tensor
    tokens: torch.Tensor


def learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Merge the most frequent pair of pieces, of equals the first by name, until every word is one.

    Written out because the trainer in ``tokenizers`` breaks ties differently on every run. Words are ASCII.
    """
    spelt = [[*word[:-1], f"{word[-1]}</w>"] for word in words]
    merges = []
    while counts := Counter(pair for pieces in spelt for pair in pairwise(pieces)):
        pair = min(counts, key=lambda each: (-counts[each], each))
        merges.append(pair)
        spelt = [_merged(pieces, pair) for pieces in spelt]
    return merges


def _merged(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    for piece in pieces:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def make_tokenizer(vocabulary: list[str], folder: Path) -> CLIPTokenizer:
    """Learn byte-level BPE in which every word of ``vocabulary`` is one token; unknown words fall into pieces."""
    bytes_alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = learn_merges(vocabulary)
    pieces = [*bytes_alphabet, *(f"{byte}</w>" for byte in bytes_alphabet)]
    pieces += [merged for pair in merges if (merged := "".join(pair)) not in pieces]
    vocab = {piece: index for index, piece in enumerate(dict.fromkeys([*pieces, START, END]))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=MAX_TOKENS, pad_token=END)


def make_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text encoder, two layers, 128 wide."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=2 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def make_denoiser() -> UNet2DConditionModel:
    """An untrained denoiser, 7.2M parameters, attention at both resolutions (8×8 and 4×4)."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(96, 160),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def make_scheduler() -> DDIMScheduler:
    """The noise schedule: cosine, v-prediction, deterministic sampling from the noisiest step on.

    Nothing is clipped on the way: DDIM would keep the noise predicted with the unclipped picture, and with guidance the
    two drift apart, more so with more steps.
    """
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )


def make_sampler() -> DPMSolverMultistepScheduler:
    """What the zoo draws with: DPM-Solver++ of second order, same schedule; benchmarks/results/sampler.md says why.

    Source: Lu et al. 2022, arXiv 2211.01095.
    """
    return DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        algorithm_type="dpmsolver++",
        solver_order=2,
        steps_offset=1,  # the pipeline would set it, with a warning; trailing steps do not depend on it
    )


def train_denoiser(
    tokenizer: CLIPTokenizer,
    batches: Callable[[int], Batch],
    steps: int,
    batch_size: int = 32,
    rate: float = 6e-4,
    progress: Progress | None = None,
) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Train denoiser and text encoder together; return their exponential moving averages.

    The loss is the mean squared error of the predicted velocity (Salimans & Ho 2022, arXiv 2202.00512).
    """
    scheduler = make_scheduler()
    both = torch.nn.ModuleDict({"unet": make_denoiser(), "text": make_text_encoder(tokenizer)})
    both = both.to(memory_format=torch.channels_last)

    def loss_of() -> torch.Tensor:
        batch = batches(batch_size)
        noise = torch.randn_like(batch.latents)
        timesteps = torch.randint(0, scheduler.config.num_train_timesteps, (len(noise),))
        noisy = scheduler.add_noise(batch.latents, noise, timesteps)
        velocity = scheduler.get_velocity(batch.latents, noise, timesteps)
        embeddings = both["text"](batch.tokens).last_hidden_state
        predicted = both["unet"](noisy, timesteps, encoder_hidden_states=embeddings).sample
        return (predicted - velocity).square().mean()

    trained = dict(fit(both, loss_of, Schedule(steps, rate=rate, decay=1e-3), progress).named_children())
    return trained["unet"], trained["text"]
