"""Results on disk: whole, of the right thing, and of the code that runs now."""

import json
from pathlib import Path

import pytest

from expunge.benchmark import result_store
from expunge.benchmark.result_store import Result, ResultStore, meaning, measuring_code
from expunge.errors import ExpungeError


class Number(Result):
    value: float


def made(**changed: object) -> Number:
    return Number.model_validate({"key": "k", "code": measuring_code(), "value": 0.5, **changed})


def test_what_was_put_is_found_by_name_and_key(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "new", Number)
    assert store.find("a", "k") is None
    store.put("a", made())
    assert store.find("a", "k") == made()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


def test_a_result_of_other_code_is_not_served_unless_it_is_to_be_kept(tmp_path: Path) -> None:
    old = made(code="of old")
    ResultStore(tmp_path, Number).put("a", old)
    assert ResultStore(tmp_path, Number).find("a", "k") is None
    assert ResultStore(tmp_path, Number, keep=True).find("a", "k") == old


@pytest.mark.parametrize("damage", [lambda text: text[:40], lambda text: text.replace('"value": 0.5', '"value": "x"')])
def test_a_damaged_result_is_named(tmp_path: Path, damage) -> None:
    store = ResultStore(tmp_path, Number)
    store.put("a", made())
    path = store.path("a")
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ExpungeError, match=r"a\.json is damaged .* remove the file"):
        store.find("a", "k")


def test_a_result_of_another_key_or_format_is_refused(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, Number)
    store.put("a", made())
    with pytest.raises(ExpungeError, match="of another format, model or settings; name another folder"):
        store.find("a", "other")
    path = store.path("a")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 1}), encoding="utf-8")
    with pytest.raises(ExpungeError, match="of another format"):
        store.find("a", "k")


def test_comments_docstrings_and_line_breaks_mean_nothing_and_all_else_does() -> None:
    plain = 'def f(x):\n    """Says."""\n    return x + 1\n'
    assert meaning(plain) == meaning('# why\ndef f(\n    x,\n):\n    """Otherwise."""\n    return x + 1\n')
    assert meaning(plain) != meaning(plain.replace("1", "2"))
    assert meaning("class A:\n    x = 1\n") != meaning("class A:\n    x = 1.0\n")


def test_every_room_that_numbers_depend_on_is_there() -> None:
    folder = Path(result_store.__file__).parent.parent
    assert all(list((folder / room).rglob("*.py")) for room in result_store.MEASURING)
