"""What an uncaught error looks like on the command line."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.pictures.drawing import DrawingSettings
from pipelines.console import clear_lines

PROGRAM = """
from pipelines.console import speak_clearly
from expunge.errors import ExpungeError
speak_clearly()
try:
    {inner}
except Exception as error:
    raise RuntimeError("a wrapper") from error
"""


def ended_with(inner: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(inner=inner)], capture_output=True, text=True)
    return done.returncode, done.stderr


def test_what_a_user_can_mend_is_one_line() -> None:
    assert ended_with("raise ExpungeError('inbox: not there')") == (1, "Error: inbox: not there\n")


def test_anything_else_keeps_its_traceback() -> None:
    code, text = ended_with("1 / 0")
    assert code == 1 and "Traceback" in text and "ZeroDivisionError" in text and "a wrapper" in text


def test_every_wrong_field_is_named_with_what_was_given() -> None:
    with pytest.raises(ValidationError) as refused:
        DrawingSettings.model_validate({"steps": 0, "guidance": 50})
    assert clear_lines(refused.value) == [
        "steps: Input should be greater than or equal to 1; given was 0",
        "guidance: Input should be less than or equal to 30; given was 50",
    ]


def test_an_unknown_key_is_named_with_those_allowed() -> None:
    with pytest.raises(ValidationError) as refused:
        DrawingSettings.model_validate({"step": 3})
    (line,) = clear_lines(refused.value)
    assert "unknown key 'step'" in line and "steps" in line


def test_an_error_on_the_way_of_another_is_found() -> None:
    try:
        try:
            raise ExpungeError("base_model: not there")
        finally:
            raise KeyError("clean-up")
    except KeyError as error:
        assert clear_lines(error) == ["base_model: not there"]
