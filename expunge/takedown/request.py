"""A takedown request: what someone asks to be removed from a text-to-image model."""

import re
import unicodedata
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Kind(StrEnum):
    """What sort of thing a target is."""

    OBJECT = "object"
    STYLE = "style"
    CLASS = "class"
    CONCEPT = "concept"
    IMAGES = "images"


REQUEST_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MAX_NAME = 100  # characters, for targets, synonyms and picture names

_PATH_OR_URL = ("://", "..", "/", "\\")
_BRACES = ("{", "}")  # templates of a world are filled with str.format
_SEPARATORS = {"Zl", "Zp"}
_BIDI_OVERRIDES = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def _refuse_control(text: str, allowed: str = "") -> str:
    """Refuse characters that could change how the text is shown, stored or parsed."""
    for character in text:
        category = unicodedata.category(character)
        hidden = category in {"Cc", "Cs"} | _SEPARATORS or character in _BIDI_OVERRIDES
        if hidden and character not in allowed:
            raise ValueError(f"holds the control character U+{ord(character):04X}; write plain text")
    return text


def _check_name(text: str) -> str:
    """A target or synonym: plain words for a prompt. Surrounding and repeated spaces are dropped."""
    _refuse_control(text)
    for mark in (*_PATH_OR_URL, *_BRACES):
        if mark in text:
            what = "a template" if mark in _BRACES else "a path or URL"
            raise ValueError(f"holds '{mark}' as in {what}; write the plain name that prompts use")
    text = " ".join(text.split())
    if not text:
        raise ValueError("is empty; write the name that prompts use")
    if len(text) > MAX_NAME:
        raise ValueError(f"has {len(text)} characters; at most {MAX_NAME} are allowed")
    return text


def _check_picture_name(name: str) -> str:
    """A picture's plain file name: no path, no URL, not hidden."""
    _refuse_control(name)
    if any(mark in name for mark in (*_PATH_OR_URL, ":")):
        raise ValueError("is a path or URL; name a file that lies in the request's own folder")
    if not name or name.startswith(".") or name != name.strip():
        raise ValueError("is empty, hidden or padded with spaces; give a plain file name")
    if len(name.encode()) > MAX_NAME:
        raise ValueError(f"has {len(name.encode())} bytes; at most {MAX_NAME} are allowed")
    return name


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
        reason: why, in free text.
        filed_at: when, in UTC; a time without a zone is taken as UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str = Field(pattern=rf"^(?:{REQUEST_ID.pattern})$")
    kind: Kind
    target: str = Field(min_length=1, max_length=MAX_NAME)
    synonyms: tuple[str, ...] = Field(default=(), max_length=20)
    pictures: tuple[str, ...] = Field(default=(), max_length=64)
    requester: str = Field(default="", max_length=200)
    reason: str = Field(default="", max_length=2000)
    filed_at: datetime

    @field_validator("target")
    @classmethod
    def _target_is_a_name(cls, target: str) -> str:
        return _check_name(target)

    @field_validator("synonyms")
    @classmethod
    def _synonyms_are_names(cls, synonyms: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_blame(synonym, _check_name) for synonym in synonyms)

    @field_validator("pictures")
    @classmethod
    def _pictures_are_file_names(cls, pictures: tuple[str, ...]) -> tuple[str, ...]:
        for name in pictures:
            _blame(name, _check_picture_name)
        if len(set(pictures)) < len(pictures):
            raise ValueError("names a picture twice; name each once")
        return pictures

    @field_validator("requester", "reason")
    @classmethod
    def _free_text(cls, text: str) -> str:
        return _refuse_control(text, allowed="\n\t")

    @field_validator("filed_at")
    @classmethod
    def _in_utc(cls, time: datetime) -> datetime:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)

    @model_validator(mode="after")
    def _images_come_with_pictures(self) -> Self:
        if self.kind is Kind.IMAGES and not self.pictures:
            raise ValueError("pictures: a request of kind 'images' needs at least one picture")
        return self

    def asks_for(self, kind: Kind, target: str) -> bool:
        """Whether it asks for that very thing, ignoring case, spacing and the form of letters."""
        return self.kind is kind and same_name(self.target) == same_name(target)


def same_name(name: str) -> str:
    """What two spellings of one name share: compatibility form, case folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


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
