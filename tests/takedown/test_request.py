"""What a request says is to be drawn in its target's place."""

import pytest
from pydantic import ValidationError

from expunge.takedown.request import TakedownRequest


@pytest.mark.parametrize(
    ("given", "kept"),
    [("", ""), ("neighbour", "neighbour"), ("neighbour: red fox ", "neighbour:red fox"), ("content", "content")],
)
def test_what_is_drawn_instead_is_kept_in_one_form(given, kept):
    assert made_with_instead(given).instead == kept


@pytest.mark.parametrize("given", ["dog", "neighbour:", "neighbour:../x", "nothing:dog", "Content"])
def test_any_other_form_is_refused(given):
    with pytest.raises(ValidationError, match="instead"):
        made_with_instead(given)


def made_with_instead(instead: str) -> TakedownRequest:
    return TakedownRequest(id="a", kind="object", target="cat", instead=instead, filed_at="2026-01-01")
