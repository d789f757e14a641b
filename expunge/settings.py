"""What all settings share: unknown keys are refused, and the message says which ones are allowed."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Settings(BaseModel):
    """Base of settings that people write in configs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, given: Any) -> Any:
        if isinstance(given, dict) and (unknown := sorted(map(str, set(given) - set(cls.model_fields)))):
            raise ValueError(f"unknown key {', '.join(map(repr, unknown))}; allowed are {', '.join(cls.model_fields)}")
        return given
