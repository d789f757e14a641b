"""Names of registered models: refused before any work, in one line, and never a hole in a filter."""

import subprocess
import sys

import pytest

from expunge.errors import ExpungeError
from expunge.takedown.model_name import DEFAULT_NAME, check_name, quoted


@pytest.mark.parametrize("name", [DEFAULT_NAME, "expunge-sd1.5", "o'brien", "зоо", "two words", "x" * 200, "v2_final"])
def test_good_names_are_taken(name):
    assert check_name(name) == name


LONG = ["x" * 201, "ж" * 101]
BAD = [
    "",
    " ",
    "team/zoo",
    "a:b",
    "zoo@1",
    "zoo 100%",
    'say "hi"',
    "x" * 201,
    "ж" * 101,
    ".",
    "..",
    " lead",
    "trail ",
    "a\nb",
]


@pytest.mark.parametrize("name", [*BAD, "a#b", "a?b", "a\\b", "a\0b", "a\u2028b"])
def test_others_are_refused_in_one_line(name):
    with pytest.raises(ExpungeError, match="^registered_model: .* given; a name has 1 to 200 letters") as caught:
        check_name(name)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 400


def test_the_field_is_named():
    with pytest.raises(ExpungeError, match="^--name: "):
        check_name("a:b", "--name")


def test_apostrophes_end_no_literal():
    assert quoted("o'brien") == '"o\'brien"' and quoted("zoo") == "'zoo'"


def test_checking_a_name_loads_nothing_heavy():
    script = "import sys, expunge.takedown.model_name; print(*{'mlflow', 'torch', 'sqlalchemy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "\n"
