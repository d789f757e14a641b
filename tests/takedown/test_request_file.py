"""What a request may say, and what a request file must not do."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.takedown.names import same_name
from expunge.takedown.request import REQUEST_ID, Kind, TakedownRequest
from expunge.takedown.request_file import MAX_BYTES, build_request, derive_id, dump_request, parse_request

FILED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def parse(text: str | bytes) -> TakedownRequest:
    return parse_request(text.encode() if isinstance(text, str) else text, "my-id", lambda: FILED)


def test_two_lines_are_enough() -> None:
    request = parse("kind: style\ntarget: noto\n")
    assert request == TakedownRequest(id="my-id", kind=Kind.STYLE, target="noto", filed_at=FILED)


def test_all_fields() -> None:
    request = parse(
        "id: my-id\nkind: images\ntarget: Red  Cat\nsynonyms: [kitty, tom cat]\npictures:\n- one.png\n"
        "requester: Ada\nreason: |\n  it is mine,\n  see https://example.org\n"
        "filed_at: 2026-05-06T10:00:00+02:00\n"
    )
    assert request.target == "Red Cat" and request.synonyms == ("kitty", "tom cat")
    assert request.filed_at == datetime(2026, 5, 6, 8, tzinfo=UTC) and "https://example.org" in request.reason


def test_words_that_yaml_would_turn_into_something_else_stay_words() -> None:
    request = parse("kind: object\ntarget: no\nsynonyms: [1984, on, ~, 2020-01-01]")
    assert request.target == "no" and request.synonyms == ("1984", "on", "~", "2020-01-01")


def test_a_time_without_zone_is_utc() -> None:
    assert parse("kind: object\ntarget: cat\nfiled_at: 2026-05-06 10:00").filed_at == datetime(
        2026, 5, 6, 10, tzinfo=UTC
    )


def test_a_date_alone_is_midnight_in_utc() -> None:
    assert parse("kind: object\ntarget: cat\nfiled_at: 2024-01-02").filed_at == datetime(2024, 1, 2, tzinfo=UTC)


def test_the_time_of_the_file_is_asked_for_only_where_the_request_names_none() -> None:
    def never() -> datetime:
        raise AssertionError("asked")

    assert parse_request(b"kind: style\ntarget: a\nfiled_at: 2024-01-02", "a", never).filed_at.year == 2024
    with pytest.raises(AssertionError):
        parse_request(b"kind: style\ntarget: a", "a", never)


@pytest.mark.parametrize(
    "target",
    [
        "می\u200cخواهم",  # Persian, spelt with a joiner
        "\U0001f469\u200d\U0001f680",  # an astronaut: woman, joiner, rocket
        "\u2764\ufe0f",  # a heart, in emoji style
        "\U0001f3f3\ufe0f\u200d\U0001f308",  # a flag of both
        "β-carotene",  # two words, two alphabets
        "Пикассо style",
        "東京タワー",
        "ｃａｔ",
        "Björk",
        "e\u0301tude",
        "K-9",
        "Ḽơᶉëᶆ",
    ],
)
def test_names_of_the_whole_world_are_taken(target: str) -> None:
    assert parse(f"kind: object\ntarget: {target}").target == target


def test_names_that_differ_in_what_cannot_be_seen_are_one() -> None:
    assert same_name("\u2764\ufe0f") == same_name("\u2764") and same_name("ca\u200bt") == same_name("CAT")
    assert same_name("caf\u00e9") == same_name("cafe\u0301") != same_name("cafe")


@given(st.text(max_size=40))
def test_same_name_is_a_form_of_its_own(name: str) -> None:
    assert same_name(same_name(name)) == same_name(name) == same_name(f"  {name} ")


def test_an_empty_optional_field_counts_as_absent() -> None:
    assert parse("kind: object\ntarget: cat\nsynonyms:\nreason:\n").synonyms == ()


BAD = {
    "empty file": ("", "must hold fields"),
    "a list": ("- kind: style", "must hold fields"),
    "a word": ("hello", "must hold fields"),
    "no yaml": ("kind: [style", "no plain YAML.*line"),
    "a tab": ("kind: style\n\ttarget: x", "no plain YAML.*line 2"),
    "two documents": ("kind: style\n---\nkind: object", "no plain YAML"),
    "no utf-8": (b"kind: style\ntarget: \xff\xfe\xfa", "no plain YAML"),
    "a nul": (b"kind: style\ntarget: a\0b", "no plain YAML"),
    "duplicate key": ("kind: style\ntarget: a\nkind: object", "'kind' is given twice.*line 3"),
    "list as key": ("? [a, b]\n: c", "no word"),
    "tag": (
        "kind: style\ntarget: !!python/object/apply:os.system ['true']",
        "tags are not used here.*line 2",
    ),
    "anchor": ("kind: style\ntarget: &a b\nreason: *a", "anchors and aliases"),
    "bomb": ("a: &a [x,x]\nb: &b [*a,*a]\nkind: style\ntarget: *b", "anchors and aliases"),
    "deep": ("kind: " + "[" * 5000, "nested too deeply|no plain YAML"),
    "merge": ("kind: style\n<<: {target: a}\n", "unknown field"),
    "unknown field": (
        "kind: style\ntarget: a\ntarge: b",
        "'targe': unknown field; known are id, kind, target",
    ),
    "unknown kind": ("kind: artist\ntarget: a", "kind: got 'artist'; allowed are object, style, class"),
    "no kind": ("target: a", "kind: is missing"),
    "no target": ("kind: style", "target: is missing"),
    "blank target": ("kind: style\ntarget: '  '", "target: is empty"),
    "list as target": ("kind: style\ntarget: [a]", r"target: .*got \['a'\]"),
    "mapping as target": ("kind: style\ntarget: {a: b}", "target: "),
    "long target": ("kind: style\ntarget: " + "a" * 101, "target: .*at most 100 characters.*…"),
    "path as target": ("kind: style\ntarget: /etc/passwd", "target: holds '/' as in a path or URL"),
    "climbing target": ("kind: style\ntarget: ..", "target: holds '..'"),
    "Windows path": ("kind: style\ntarget: 'C:\\secrets'", r"target: holds '\\' as in a path"),
    "URL as target": ("kind: style\ntarget: https://example.org", "target: holds '://'"),
    "template": ("kind: style\ntarget: 'cat {subject.__class__}'", "target: holds '{' as in a template"),
    "escape": ('kind: style\ntarget: "a\\e[31mb"', r"target: holds the control character U\+001B"),
    "line break": ('kind: style\ntarget: "a\\nb"', r"target: holds the control character U\+000A"),
    "override": ('kind: style\ntarget: "a\\u202Eb"', r"control character U\+202E"),
    "path as synonym": ("kind: style\ntarget: a\nsynonyms: [b, ../c]", "synonyms: '../c' holds '..'"),
    "one synonym": ("kind: style\ntarget: a\nsynonyms: b", "synonyms: .*got 'b'"),
    "many synonyms": (
        f"kind: style\ntarget: a\nsynonyms: [{', '.join('abcdefghijklmnopqrstu')}]",
        "synonyms: .*20",
    ),
    "images without": ("kind: images\ntarget: a", "pictures: .*'images' needs at least one picture"),
    "picture path": (
        "kind: images\ntarget: a\npictures: [../../a.png]",
        "pictures: '../../a.png' is a path or URL",
    ),
    "picture below": ("kind: images\ntarget: a\npictures: [x/a.png]", "is a path or URL"),
    "picture URL": ("kind: images\ntarget: a\npictures: ['http://h/a.png']", "is a path or URL"),
    "picture data URL": ("kind: images\ntarget: a\npictures: ['data:image']", "is a path or URL"),
    "hidden picture": ("kind: images\ntarget: a\npictures: [.a.png]", "hidden"),
    "empty picture": ("kind: images\ntarget: a\npictures: ['']", "empty"),
    "picture twice": ("kind: images\ntarget: a\npictures: [a.png, a.png]", "names a picture twice"),
    "escape in reason": ('kind: style\ntarget: a\nreason: "\\e[2J"', "reason: holds the control character"),
    "long reason": ("kind: style\ntarget: a\nreason: " + "a" * 2001, "reason: .*2000"),
    "no date": ("kind: style\ntarget: a\nfiled_at: yesterday", "filed_at: .*got 'yesterday'"),
    "a year as date": (
        "kind: style\ntarget: a\nfiled_at: 2024",
        "filed_at: is no date; write it as 2026-05-06.*'2024'",
    ),
    "a number as date": ("kind: style\ntarget: a\nfiled_at: 20240102", "filed_at: is no date.*got '20240102'"),
    "seconds as date": ("kind: style\ntarget: a\nfiled_at: 1704164645.5", "filed_at: is no date"),
    "an exponent as date": ("kind: style\ntarget: a\nfiled_at: 1e9", "filed_at: is no date"),
    "infinity as date": ("kind: style\ntarget: a\nfiled_at: inf", "filed_at: is no date"),
    "a list as date": ("kind: style\ntarget: a\nfiled_at: [2024]", r"filed_at: is no date.*got \['2024'\]"),
    "month 13": ("kind: style\ntarget: a\nfiled_at: 2024-13-01", "filed_at: .*month"),
    "after the last day": (
        "kind: style\ntarget: a\nfiled_at: 9999-12-31T23:59:59-01:00",
        "filed_at: lies outside the years 1 to 9999 in UTC",
    ),
    "before the first day": (
        "kind: style\ntarget: a\nfiled_at: 0001-01-01T00:00:00+14:00",
        "filed_at: lies outside the years 1 to 9999 in UTC",
    ),
    "zero width": ('kind: style\ntarget: "twemoji\\u200B"', r"target: holds U\+200B ZERO WIDTH SPACE, which cannot"),
    "soft hyphen": ('kind: style\ntarget: "twe\\u00ADmoji"', r"target: holds U\+00AD SOFT HYPHEN"),
    "direction": ('kind: object\ntarget: "cat\\u200F"', r"target: holds U\+200F RIGHT-TO-LEFT MARK"),
    "filler": ('kind: object\ntarget: "cat\\u3164"', r"target: holds U\+3164 HANGUL FILLER"),
    "joiner": ('kind: object\ntarget: "ca\\u200Dt"', r"target: holds U\+200D ZERO WIDTH JOINER"),
    "variation": ('kind: object\ntarget: "cat\\uFE0F"', r"target: holds U\+FE0F VARIATION SELECTOR-16"),
    "only hidden": ('kind: object\ntarget: "\\u2060"', r"target: holds U\+2060 WORD JOINER"),
    "two alphabets": (
        'kind: object\ntarget: "\\u0441at"',
        r"target: mixes 'с' \(U\+0441 CYRILLIC SMALL LETTER ES\) and 'a' \(U\+0061 LATIN SMALL LETTER A\) in one word"
        r"|target: mixes 'a' \(U\+0061 LATIN SMALL LETTER A\) and 'с' \(U\+0441 CYRILLIC SMALL LETTER ES\) in one word",
    ),
    "synonym of two alphabets": (
        'kind: object\ntarget: cat\nsynonyms: [kitty, "k\\u0456tten"]',
        r"synonyms: 'kіtten' mixes .*U\+0456 CYRILLIC",
    ),
    "another id": ("id: other\nkind: style\ntarget: a", "id: 'other' differs from the file's name 'my-id'"),
    "large": ("kind: style\ntarget: a\nreason: " + "a" * MAX_BYTES, f"at most {MAX_BYTES} are allowed"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_in_one_line(case: str) -> None:
    text, message = BAD[case]
    with pytest.raises(ExpungeError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("id", ["", "-a", "A", "a_b", "a/b", "..", "a.b", "../../x", "ok\n", "x" * 64, "é"])
def test_bad_ids(id: str) -> None:
    with pytest.raises(ExpungeError, match="id: got .*1 to 63 lower-case letters"):
        build_request({"id": id, "kind": "style", "target": "a", "filed_at": FILED})


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_give_a_request_or_one_error(data: bytes) -> None:
    try:
        assert isinstance(parse(data), TakedownRequest)
    except ExpungeError as error:
        assert str(error)


def acceptable(fields: dict) -> bool:
    try:
        build_request(fields)
    except ExpungeError:
        return False
    return True


FIELDS = st.fixed_dictionaries(
    {
        "id": st.from_regex(REQUEST_ID, fullmatch=True),
        "kind": st.sampled_from([kind for kind in Kind if kind is not Kind.IMAGES]),
        "target": st.text(min_size=1, max_size=30),
        "synonyms": st.lists(st.text(min_size=1, max_size=10), max_size=3),
        "requester": st.text(max_size=10),
        "reason": st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("\n\t:#'\"- "), max_size=60),
        "filed_at": st.datetimes(
            min_value=datetime(2000, 1, 2), timezones=st.sampled_from([UTC, timezone(timedelta(hours=5))])
        ),
    }
).filter(acceptable)


@given(FIELDS)
def test_a_request_survives_its_file(fields: dict) -> None:
    request = build_request(fields)
    assert parse_request(dump_request(request), request.id, lambda: FILED) == request


@given(st.sampled_from(Kind), st.text(min_size=1, max_size=120), st.integers(1, 10**6))
def test_derived_ids_are_ids(kind: Kind, target: str, number: int) -> None:
    id = derive_id(kind, target, number)
    assert REQUEST_ID.fullmatch(id) and id.startswith(kind.value)
    assert id != derive_id(kind, target, number + 1)


@pytest.mark.parametrize(
    ("target", "id"),
    [
        ("noto", "style-noto"),
        ("Van  Gogh", "style-van-gogh"),
        ("Émile Zola!", "style-emile-zola"),
        ("x" * 99, "style-" + "x" * 57),
    ],
)
def test_derived_ids_are_readable(target: str, id: str) -> None:
    assert derive_id(Kind.STYLE, target) == id


def test_names_without_ascii_letters_get_different_ids() -> None:
    assert derive_id(Kind.OBJECT, "猫") != derive_id(Kind.OBJECT, "犬")
