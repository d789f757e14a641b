"""The model that all takedowns began with: found by its digest, or the run says why not."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from expunge.errors import ExpungeError
from expunge.models.text_to_image import TextToImage
from expunge.release.base_model import FIRST, BaseModelFacts, FirstModel, first_of, open_first
from expunge.release.model_version import ModelVersion


def version(**tags: str) -> ModelVersion:
    now = datetime.now(UTC)
    return ModelVersion(
        name="tiny", version=7, aliases=(), created_at=now, tags=tags, run_id="", digest="ab" * 32, registered_at=now
    )


def test_it_is_the_configured_base_where_the_line_began_with_that(tiny_folder: Path, tiny_model: TextToImage) -> None:
    first, note = first_of(str(tiny_folder), version(**{FIRST: tiny_model.digest()}))
    assert first == FirstModel(source=str(tiny_folder), digest=tiny_model.digest()) and note == ""
    facts = BaseModelFacts(source="models:/tiny/7", version=7, digest="ab" * 32, first=first)
    opened = open_first(facts)
    assert opened is not None and opened.digest() == facts.first_digest == tiny_model.digest()


@pytest.mark.parametrize(
    ("folder", "began_with", "note"),
    [
        (
            None,
            "cd" * 32,
            "base_model: '.*' is not the model that version 7 began with: what version 7 draws is",
        ),
        (None, "", "version 7 does not say which model its line began with"),
        ("./nowhere", "cd" * 32, "base_model: './nowhere' is not there.* Until then what version 7 draws is retained"),
    ],
)
def test_else_there_is_none_and_the_run_says_why(
    tiny_folder: Path, folder: str | None, began_with: str, note: str
) -> None:
    first, told = first_of(folder or str(tiny_folder), version(**{FIRST: began_with}))
    assert first is None and re.match(note, told) and "\n" not in told
    facts = BaseModelFacts(source="models:/tiny/7", version=7, digest="ab" * 32, first=None, note=told)
    assert open_first(facts) is None and facts.first_digest == ""


def test_one_that_changed_meanwhile_is_not_taken(tiny_folder: Path) -> None:
    first = FirstModel(source=str(tiny_folder), digest="cd" * 32)
    with pytest.raises(ExpungeError, match="base_model: .* changed while the run was going"):
        open_first(BaseModelFacts(source="models:/tiny/7", version=7, digest="ab" * 32, first=first))
