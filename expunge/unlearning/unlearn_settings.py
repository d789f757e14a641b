"""How a model is unlearned: settings, checked before any work."""

from typing import Any, Self

from pydantic import Field, model_validator

from expunge.settings import Settings
from expunge.unlearning.methods import MethodSettings, get_method
from expunge.unlearning.pace import PaceSettings
from expunge.unlearning.problem import Alignment
from expunge.unlearning.resampling import ResamplingSettings
from expunge.unlearning.safeguard import SafeguardSettings


class UnlearnSettings(Settings):
    """Settings of one run. Unknown fields, unknown methods and a method's unknown options are refused.

    Attributes:
        method: a registered name.
        method_options: options of that method.
        steps: at most this many.
        learning_rate: η; None to measure it and its limit at θ₀ along the cached gradients, for each target anew.
        retain_weight: λ; raising it keeps more and forgets more slowly.
        forget_threshold: τ, squared noise units: an element whose error has reached it is forgotten enough.
        forget_batch_size: pictures of the forget set a step.
        retain_batch_size: pictures of the retain set a retain batch.
        empty_share: share of each retain batch under the empty prompt: guidance draws from it for every picture.
        resampling: how retain batches go more often where the model has drifted; None for batches balanced over strata.
        seed: of batches, noise and its levels.
        alignment: retain loss against the ``data``, the ``original`` model's prediction, or ``both``.
        probe_every: the probe is measured at each such step.
        safeguard: cut back steps that raise a probe loss, at each step that is probed; None for never.
        check_every: ``is_forgotten`` is asked after so many steps; with a pace also when the forget loss says so.
        stop_at: share forgotten, 0–1, that counts as done; what then ends the run depends on ``pace``.
        pace: how steps grow until the target is forgotten and then shrink to standstill, which ends the run; None for
            steps as long as the learning rate says, until ``stop_at`` is reached twice.
        checkpoint_every: steps between checkpoints.
    """

    method: str = "stepping_metric"
    method_options: dict[str, Any] = Field(default_factory=dict)
    steps: int = Field(default=100, ge=1, le=1_000_000)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    retain_weight: float = Field(default=5.0, gt=0, le=1e6)
    forget_threshold: float = Field(default=1.0, gt=0, le=1e6)
    forget_batch_size: int = Field(default=16, ge=1, le=4096)
    retain_batch_size: int = Field(default=32, ge=1, le=4096)
    empty_share: float = Field(default=0.125, ge=0, le=1)
    resampling: ResamplingSettings | None = None
    seed: int = Field(default=0, ge=0)
    alignment: Alignment = "original"
    probe_every: int = Field(default=1, ge=1)
    safeguard: SafeguardSettings | None = None
    check_every: int = Field(default=10, ge=1)
    stop_at: float = Field(default=0.99, gt=0, le=1)
    pace: PaceSettings | None = PaceSettings()
    checkpoint_every: int = Field(default=25, ge=1)

    @model_validator(mode="after")
    def _method_takes_its_options(self) -> Self:
        self.method_settings()
        return self

    @model_validator(mode="after")
    def _batches_can_be_resampled(self) -> Self:
        if (
            self.resampling is not None
            and not 0 < self.resampling.drawn(self.retain_batch_size) < self.retain_batch_size
        ):
            raise ValueError(
                f"resampling: a share of {self.resampling.share} of a retain batch of {self.retain_batch_size} leaves "
                "no picture for one of its parts; raise retain_batch_size, or choose a share nearer to 0.5"
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

    def method_settings(self) -> MethodSettings:
        """The options, validated by the method they are for."""
        return get_method(self.method).settings_type.model_validate(self.method_options)
