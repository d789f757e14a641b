"""How a model is unlearned: all settings, checked before any work. Nothing here imports torch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from expunge.models.trained_part import TrainedSettings
from expunge.settings import Settings
from expunge.takedown.instead import Instead

if TYPE_CHECKING:
    from expunge.unlearning.methods import MethodSettings
    from expunge.unlearning.problem import Objectives

Alignment = Literal["data", "original"]
METHOD = "stepping_metric"
IN_PLACE_OF = "in place of "  # begins the row of the sets' facts that says what is drawn instead of a target
AS_PUBLISHED: Mapping[str, float] = {"truncated": 1.0}  # the forget loss of most methods


class DiversificationSettings(Settings):
    """Size and make-up of the forget and retain sets."""

    pool_per_stratum: int = Field(
        default=2, ge=1, le=64, description="pictures of each stratum (subject and style) in the pool"
    )
    forget_size: int = Field(default=64, ge=1, le=100_000, description="pictures of each target")
    paired_size: int = Field(default=32, ge=1, le=100_000, description="of them, with a counterpart without the target")
    instead: Instead = Field(
        default="neighbour", description="what is drawn in a target's place, where its request does not say"
    )
    neighbours: int = Field(default=1, ge=1, le=100, description="nearest levels that may stand in a target's place")
    held_pictures: int = Field(
        default=16, ge=0, le=100_000, description="of each earlier target, what is drawn in its place, to be retained"
    )
    seed: int = Field(default=0, ge=0, description="seed of wordings and initial noise")


class ForgetSettings(Settings):
    """What forgetting is, as far as cached gradients depend on it."""

    losses: dict[str, float] = Field(description="weights of the forget losses, by name")
    threshold: float = Field(default=1.0, gt=0, le=1e6, description="τ of the truncated one")
    guidance: float = Field(default=0.0, ge=0, le=10, description="η of the anchor")
    trained: TrainedSettings = Field(default_factory=TrainedSettings, description="what of the denoiser")

    def objectives(self) -> "Objectives":
        """With the data loss, whose gradient at θ₀ says something."""
        from expunge.unlearning.problem import Objectives

        return Objectives(forget_threshold=self.threshold, forget=self.losses, forget_guidance=self.guidance)


class GradientSettings(Settings):
    """How the full gradients at θ₀ are measured."""

    batch_size: int = Field(default=16, ge=1, le=4096, description="pictures a pass")
    draws: int = Field(default=1, ge=1, le=1000, description="passes over each set; the error falls with its root")
    seed: int = Field(default=0, ge=0)


class CheckSettings(Settings):
    """How it is measured, while unlearning, whether the target is still drawn."""

    pictures: int = Field(default=24, ge=1, le=10_000, description="of each target, each time")
    steps: int = Field(default=10, ge=1, le=1000, description="sampling steps; fewer than evaluation uses will do")


class PaceSettings(Settings):
    """How fast steps grow and shrink."""

    growth: float = Field(
        default=1.25, ge=1, le=10, description="factor at each check that finds the target and little of the way gone"
    )
    most: float = Field(default=4.0, ge=1, le=1000, description="of the learning rate, at most")
    stride: float = Field(
        default=0.1, gt=0, le=1, description="of the forget loss's way to −τ, after which the target is looked for"
    )
    depth: float | None = Field(
        default=None, ge=0, le=1, description="of that way, gone before the steps shrink; null: the forget loss's own"
    )
    settle_steps: int = Field(default=20, ge=1, le=100_000, description="steps from forgotten to standstill")
    settle_weight: float = Field(
        default=0.1, gt=0, le=1, description="of a forget loss without a goal in them, our engine's"
    )


class SafeguardSettings(Settings):
    """When a step is cut back."""

    tolerance: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="rise of a probe loss that is let pass, as a share of its size at θ₀",
    )
    halvings: int = Field(default=3, ge=0, le=20, description="how often a step is halved before it is refused")


class UnlearnSettings(Settings):
    """Settings of one run. Unknown fields, unknown methods and a method's unknown options are refused.

    Attributes:
        method: a registered name.
        method_options: options of that method.
        steps: at most this many.
        learning_rate: η; None to measure it and its limit at θ₀ along the cached gradients, for each target anew.
        retain_weight: λ; raising it keeps more and forgets more slowly.
        forget: weights of the forget losses by name (``truncated``, ``anchor``, ``empty``); None: the method's own.
        forget_threshold: τ of the truncated one, squared units of the prediction: an element whose error has reached it
            is forgotten enough.
        forget_guidance: η of the anchor: how far beyond what is to be drawn instead, away from the target.
        forget_batch_size: pictures of the forget set a step.
        retain_batch_size: pictures of the retain set a retain batch.
        empty_share: share of each retain batch under the empty prompt: guidance draws from it for every picture.
        seed: of batches, noise and its levels.
        alignment: retain loss against the ``data`` or the ``original`` model's prediction.
        safeguard: cut back steps that raise a loss on a probe of training pictures; None for never.
        check_every: ``is_forgotten`` is asked after so many steps; with a pace also when the forget loss says so.
        stop_at: share forgotten, 0–1, that counts as done; what then ends the run, ``stopping_rule`` says. None: no
            check ends it.
        pace: how steps grow until the target is forgotten and then shrink to standstill, which ends the run; None for
            steps as long as the learning rate says, until ``stop_at`` is reached twice.
        checkpoint_every: steps between checkpoints.
        trained: what of the denoiser: everything, its attention, blocks of it, their salient entries, or an adapter
            beside it.
    """

    method: str = METHOD
    method_options: dict[str, Any] = Field(default_factory=dict)
    steps: int = Field(default=100, ge=1, le=1_000_000)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    retain_weight: float = Field(default=5.0, gt=0, le=1e6)
    forget: dict[str, float] | None = None
    forget_threshold: float = Field(default=1.0, gt=0, le=1e6)
    forget_guidance: float = Field(default=0.5, ge=0, le=10)
    forget_batch_size: int = Field(default=16, ge=1, le=4096)
    retain_batch_size: int = Field(default=32, ge=1, le=4096)
    empty_share: float = Field(default=0.125, ge=0, le=1)
    seed: int = Field(default=0, ge=0)
    alignment: Alignment = "original"
    safeguard: SafeguardSettings | None = None
    check_every: int = Field(default=10, ge=1)
    stop_at: float | None = Field(default=0.99, gt=0, le=1)
    pace: PaceSettings | None = PaceSettings()
    checkpoint_every: int = Field(default=25, ge=1)
    trained: TrainedSettings = TrainedSettings()

    @model_validator(mode="after")
    def _pace_knows_when_it_is_done(self) -> Self:
        if self.pace is not None and self.stop_at is None:
            raise ValueError(
                "stop_at: null, but a pace needs to know when the target is forgotten; set pace to null too"
            )
        return self

    @model_validator(mode="after")
    def _method_takes_its_options(self) -> Self:
        if self.method != METHOD or self.method_options:  # to ask a method imports it, and torch
            self.method_settings()
        return self

    @model_validator(mode="after")
    def _adapters_have_no_salient_entries(self) -> Self:
        if self.trained.what == "lora" and self.method != METHOD and self.saliency is not None:
            raise ValueError(
                f"trained: {self.method} moves salient weights, which an adapter has none of; train something else"
            )
        return self

    @model_validator(mode="after")
    def _forget_losses_are_known(self) -> Self:
        if self.forget is None:
            return self
        from expunge.unlearning.forget import make_forget_loss
        from expunge.unlearning.methods import get_method

        make_forget_loss(self.forget, self.forget_threshold, self.forget_guidance)
        if get_method(self.method).own_forget_objective:
            raise ValueError(
                f"forget: {self.method} has a forget objective of its own; drop it, or choose another method"
            )
        return self

    @model_validator(mode="after")
    def _safeguard_lets_steps_pass(self) -> Self:
        if self.safeguard is not None and self.safeguard.tolerance == 0 and self.alignment == "original":
            raise ValueError(
                "safeguard: with alignment 'original' a tolerance of 0 lets hardly a step pass, since the retain loss "
                "on the probe has its lowest value about where unlearning begins; set safeguard.tolerance, e.g. 0.01, "
                "or alignment to 'data'"
            )
        return self

    def method_settings(self) -> "MethodSettings":
        """The options, validated by the method they are for."""
        from expunge.unlearning.methods import get_method

        return get_method(self.method).settings_type.model_validate(self.method_options)

    @property
    def saliency(self) -> float | None:
        """Share of the trained entries that move, 0–1, as set, or else the method's own; None for all."""
        from expunge.unlearning.methods import get_method

        return self.trained.saliency or get_method(self.method).saliency

    @property
    def uses_cache(self) -> bool:
        """Whether gradients at θ₀ are read for more than the learning rate."""
        return self.saliency is not None or self.method_settings().uses_cache

    def objectives(self) -> "Objectives":
        """What is minimised."""
        return replace(self.forgetting().objectives(), retain_weight=self.retain_weight, alignment=self.alignment)

    def forgetting(self) -> ForgetSettings:
        """The forget losses, as set, or else the method's own."""
        from expunge.unlearning.methods import get_method

        losses = get_method(self.method).forget if self.forget is None else self.forget
        return ForgetSettings(
            losses=dict(losses),
            threshold=self.forget_threshold,
            guidance=self.forget_guidance,
            trained=self.trained.model_copy(update={"saliency": None}),  # what follows from them does not change them
        )

    @property
    def stopping_rule(self) -> str:
        """What ends a run before its steps are used up, in words."""
        if self.stop_at is None:
            return "nothing"
        enough = f"at least {self.stop_at:.1%} of the target forgotten"
        loss = self.objectives().forget_loss
        if self.pace is None:
            return f"two checks in a row, {self.check_every} steps apart, that find {enough}"
        depth = loss.depth if self.pace.depth is None else self.pace.depth
        if loss.has_goal:
            return f"a forget loss that has gone {depth:g} of its way, then {self.pace.settle_steps} shrinking steps"
        return (
            f"one check that finds {enough} when the forget loss has gone {depth:g} of its way or goes no "
            f"further, then {self.pace.settle_steps} shrinking steps, and a check after them that still finds it"
        )
