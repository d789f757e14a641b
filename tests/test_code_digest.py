"""The library's digest changes with every byte of its code, and with nothing else."""

import shutil

import pytest

from expunge.code_digest import PACKAGE, code_digest, digest_of


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(PACKAGE / "reports", tmp_path / "library")
    return tmp_path / "library"


def test_it_is_the_librarys():
    assert code_digest() == digest_of(PACKAGE)
    assert len(code_digest()) == 64


def test_a_copy_elsewhere_has_the_same(copy):
    assert digest_of(copy) == digest_of(PACKAGE / "reports")


@pytest.mark.parametrize("pattern", ["*.py", "*.j2"])
def test_one_byte_changes_it(copy, pattern):
    before = digest_of(copy)
    path = next(copy.rglob(pattern))
    path.write_bytes(path.read_bytes() + b"\n")
    assert digest_of(copy) != before


def test_a_new_a_renamed_and_a_missing_file_change_it(copy):
    seen = {digest_of(copy)}
    (copy / "new.yaml").write_bytes(b"")
    seen.add(digest_of(copy))
    (copy / "new.yaml").rename(copy / "newer.yaml")
    seen.add(digest_of(copy))
    (copy / "plots.py").unlink()
    seen.add(digest_of(copy))
    assert len(seen) == 4


def test_content_moved_from_one_file_to_the_next_changes_it(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, contents in ((first, (b"ab", b"c")), (second, (b"a", b"bc"))):
        folder.mkdir()
        for name, content in zip(("one.py", "two.py"), contents, strict=True):
            (folder / name).write_bytes(content)
    assert digest_of(first) != digest_of(second)


def test_what_is_compiled_does_not_count(copy):
    before = digest_of(copy)
    (copy / "__pycache__").mkdir(exist_ok=True)
    (copy / "__pycache__" / "plots.cpython-311.pyc").write_bytes(b"compiled")
    (copy / "notes.txt").write_text("no code", encoding="utf-8")
    assert digest_of(copy) == before
