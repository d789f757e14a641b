"""A takedown request: what someone asks to be removed from a text-to-image model."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from expunge.takedown.instead import read_instead
from expunge.takedown.names import MAX_NAME, check_file_name, check_name, refuse_control, same_name


class Kind(StrEnum):
    """What sort of thing a target is."""

    OBJECT = "object"
    STYLE = "style"
    CLASS = "class"
    CONCEPT = "concept"
    IMAGES = "images"


REQUEST_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_DATE = re.compile(r"\s*\d{4}-\d{2}-\d{2}")
_DAY = re.compile(r"\s*\d{4}-\d{2}-\d{2}\s*")


class TakedownRequest(BaseModel):
    """One request, immutable once filed. Unknown fields are refused.

    Attributes:
        id: name of the request: lower-case letters, digits and hyphens, at most 63.
        kind: what sort of thing the target is.
        target: its name as prompts use it; never a path, URL or template.
        synonyms: other names of the same thing, under the same rule.
        pictures: plain file names of reference pictures in the folder named after the id; needed for kind
            ``images``.
        requester: who asks.
        instead: what is to be drawn in its place: ``neighbour``, ``neighbour:NAME``, ``content`` (everything else in
            the sentence) or ``nothing``; empty: as the run's settings say.
        reason: why, in free text.
        filed_at: when, in UTC; a time without a zone is taken as UTC.
        due: until when it is to be fulfilled, in UTC, after ``filed_at``; of a date alone, until its end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str = Field(pattern=rf"^(?:{REQUEST_ID.pattern})$")
    kind: Kind
    target: str = Field(min_length=1, max_length=MAX_NAME)
    synonyms: tuple[str, ...] = Field(default=(), max_length=20)
    pictures: tuple[str, ...] = Field(default=(), max_length=64)
    requester: str = Field(default="", max_length=200)
    instead: str = Field(default="", max_length=MAX_NAME + 20)
    reason: str = Field(default="", max_length=2000)
    filed_at: datetime
    due: datetime | None = None

    @field_validator("target")
    @classmethod
    def _target_is_a_name(cls, target: str) -> str:
        return check_name(target)

    @field_validator("synonyms")
    @classmethod
    def _synonyms_are_names(cls, synonyms: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_blame(synonym, check_name) for synonym in synonyms)

    @field_validator("pictures")
    @classmethod
    def _pictures_are_file_names(cls, pictures: tuple[str, ...]) -> tuple[str, ...]:
        for name in pictures:
            _blame(name, check_file_name)
        if len(set(pictures)) < len(pictures):
            raise ValueError("names a picture twice; name each once")
        return pictures

    @field_validator("instead")
    @classmethod
    def _instead_is_known(cls, instead: str) -> str:
        if not instead:
            return instead
        what, name = read_instead(instead)
        return f"{what}:{name}" if name else what

    @field_validator("requester", "reason")
    @classmethod
    def _free_text(cls, text: str) -> str:
        return refuse_control(text, allowed="\n\t")

    @field_validator("due", mode="before")
    @classmethod
    def _until_the_end_of_the_day(cls, time: Any) -> Any:
        return f"{time.strip()}T23:59:59Z" if isinstance(time, str) and _DAY.fullmatch(time) else time

    @field_validator("filed_at", "due", mode="before")
    @classmethod
    def _is_a_date(cls, time: Any) -> Any:
        if time is None or isinstance(time, datetime) or (isinstance(time, str) and _DATE.match(time)):
            return time  # any other number would be read as seconds since 1970
        raise ValueError("is no date; write it as 2026-05-06 or 2026-05-06T10:00:00Z")

    @field_validator("filed_at", "due")
    @classmethod
    def _in_utc(cls, time: datetime | None) -> datetime | None:
        if time is None:
            return None
        try:
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("lies outside the years 1 to 9999 in UTC; write another date") from error

    @model_validator(mode="after")
    def _images_come_with_pictures(self) -> Self:
        if self.kind is Kind.IMAGES and not self.pictures:
            raise ValueError("pictures: a request of kind 'images' needs at least one picture")
        return self

    @model_validator(mode="after")
    def _due_after_it_was_filed(self) -> Self:
        if self.due is not None and self.due <= self.filed_at:
            raise ValueError(f"due: {self.due:%Y-%m-%d %H:%M} UTC is past, it was filed later; give a time to come")
        return self

    def is_overdue(self, now: datetime) -> bool:
        """Whether it was to be fulfilled before now."""
        return self.due is not None and now > self.due

    def asks_for(self, kind: Kind, target: str) -> bool:
        """Whether it asks for that very thing, ignoring case, spacing and the form of letters."""
        return self.kind is kind and same_name(self.target) == same_name(target)


def _blame(value: str, check) -> str:
    """Run ``check`` on one value of a list; the error names the value."""
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"{value[:40]!r} {error}") from error


class TakedownBatch(BaseModel):
    """The requests that one run works on, by id. Does not depend on who claimed them or when.

    Attributes:
        requests: to be fulfilled by the run.
        forgotten: fulfilled by earlier runs. The run neither retains nor measures as retained what they ask for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    requests: tuple[TakedownRequest, ...]
    forgotten: tuple[TakedownRequest, ...] = ()
