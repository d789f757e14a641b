"""No text breaks a table."""

from hypothesis import given
from hypothesis import strategies as st

from expunge.markdown import markdown_table, safe


@given(cells=st.lists(st.text(), min_size=4, max_size=4))
def test_any_text_stays_in_its_cell(cells):
    lines = markdown_table(cells[:2], [cells[2:]]).split("\n")
    assert len(lines) == 3 and lines[1] == "| --- | --- |"
    assert all(line.replace("\\|", "").count("|") == 3 for line in (lines[0], lines[2]))
    assert "<" not in "".join(lines)


def test_plain_words_are_left_as_they_are():
    assert safe("UA by CLIP, 95.1 %") == "UA by CLIP, 95.1 %"
    assert safe("a|b\n<b>") == "a\\|b &lt;b>"
