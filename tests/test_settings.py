"""Settings that people write: what is unknown or out of range is refused by name."""

import pytest
from pydantic import ValidationError

from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.gate import GateThresholds
from expunge.pictures.drawing import DrawingSettings
from expunge.settings import Settings
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    SafeguardSettings,
    UnlearnSettings,
)

ALL = [
    DrawingSettings,
    DiversificationSettings,
    EvaluationSettings,
    GateThresholds,
    GradientSettings,
    CheckSettings,
    UnlearnSettings,
    SafeguardSettings,
]


@pytest.mark.parametrize("settings", ALL)
def test_unknown_keys_are_named_with_the_allowed_ones(settings: type[Settings]):
    with pytest.raises(ValidationError) as error:
        settings.model_validate({"stepz": 3, 7: 1})
    said = str(error.value)
    assert "unknown key '7', 'stepz'" in said
    assert f"allowed are {', '.join(settings.model_fields)}" in said


@pytest.mark.parametrize("settings", ALL)
def test_defaults_are_fit_and_survive_the_way_through_a_config(settings: type[Settings]):
    plain = settings()
    assert settings.model_validate(plain.model_dump(mode="json")) == plain
    with pytest.raises(ValidationError, match="frozen"):
        setattr(plain, next(iter(settings.model_fields)), 1)


@pytest.mark.parametrize(
    ("settings", "key", "value", "allowed"),
    [
        (DrawingSettings, "steps", 0, "greater than or equal to 1"),
        (DrawingSettings, "guidance", 31, "less than or equal to 30"),
        (DrawingSettings, "batch_size", "many", "valid integer"),
        (DiversificationSettings, "forget_size", 0, "greater than or equal to 1"),
        (DiversificationSettings, "neighbours", 101, "less than or equal to 100"),
        (EvaluationSettings, "target_pictures", 1.5, "valid integer"),
        (GradientSettings, "draws", 0, "greater than or equal to 1"),
        (UnlearnSettings, "forget_threshold", 0, "greater than 0"),
        (CheckSettings, "pictures", -1, "greater than or equal to 1"),
        (UnlearnSettings, "learning_rate", 2, "less than or equal to 1"),
        (UnlearnSettings, "alignment", "both ways", "'data' or 'original'"),
        (GateThresholds, "unlearning_accuracy_at_least", 1.1, "less than or equal to 1"),
    ],
)
def test_values_out_of_range_are_named_with_what_is_allowed(settings, key, value, allowed):
    with pytest.raises(ValidationError) as error:
        settings.model_validate({key: value})
    said = str(error.value)
    assert key in said and allowed in said and f"input_value={value!r}" in said


def test_unknown_methods_and_options_of_methods_are_refused():
    with pytest.raises(ValidationError, match="stepping_metric"):
        UnlearnSettings(method="no such method")
    with pytest.raises(ValidationError, match="unknown key 'scope'; allowed are"):
        UnlearnSettings(method_options={"scope": "tensor"})


def test_a_safeguard_that_would_let_nothing_pass_is_refused_with_what_to_do():
    with pytest.raises(ValidationError, match="set safeguard.tolerance"):
        UnlearnSettings(safeguard={}, alignment="original")
    assert UnlearnSettings(safeguard={}, alignment="data").safeguard is not None
