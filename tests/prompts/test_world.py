"""Factor worlds: balance, determinism, the two sides of wordings, and worlds that are not fit."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.prompts.load_world import load_world
from expunge.prompts.world import Level, World, read_world
from expunge.zoo.emoji_world import zoo_world
from tests.prompts.worlds import worlds

SIDES = st.sampled_from(["train", "held_out"])
SEEDS = st.integers(0, 1000)


def spread(names: list) -> int:
    """How much more often the most frequent comes up than the rarest, among those that come up."""
    counts = Counter(names).values()
    return max(counts) - min(counts)


@given(worlds(), SIDES, st.integers(1, 9), SEEDS)
def test_samples_are_balanced_over_strata_templates_and_other_factors(world, side, per_stratum, seed):
    prompts = world.sample(side, per_stratum, seed)
    by_stratum: dict[str, list] = {}
    for prompt in prompts:
        by_stratum.setdefault(prompt.stratum, []).append(prompt)
    assert len(by_stratum) == len(world.strata())
    for members in by_stratum.values():
        assert len(members) == per_stratum
        templates = [prompt.template for prompt in members]
        assert len(set(templates)) == min(per_stratum, len(world.templates[side]))
        assert spread(templates) <= 1
        for factor in set(world.factors) - {"subject", "style"}:
            levels = [prompt.factors[factor] for prompt in members]
            assert len(set(levels)) == min(per_stratum, len(world.factors[factor]))
            assert spread(levels) <= 1


@given(worlds(), SIDES, SEEDS)
def test_prompts_say_what_they_ask_for_in_words_of_their_side(world, side, seed):
    for prompt in world.sample(side, 2, seed):
        assert prompt.side == side and set(prompt.factors) == set(world.factors)
        for factor, level in prompt.factors.items():
            assert prompt.words[factor] in world.factors[factor][level].wordings(side)
            assert prompt.words[factor] in prompt.text
        assert f"{side} template{prompt.template}" in prompt.text


@given(worlds(), SIDES, SEEDS)
def test_the_same_seed_gives_the_same_prompts(world, side, seed):
    assert world.sample(side, 3, seed) == world.sample(side, 3, seed)


def test_seeds_and_sides_give_other_prompts():
    world = zoo_world()
    assert world.sample("train", 2, 0) != world.sample("train", 2, 1)
    assert {p.text for p in world.sample("train", 2, 0)} & {p.text for p in world.sample("held_out", 2, 0)} == set()


@given(worlds(), SIDES, SEEDS)
def test_a_new_subject_leaves_all_other_prompts_as_they_were(world, side, seed):
    newcomer = {"newcomer": Level(train=["newcomer"], held_out=["newcomer"])}
    for subjects in (newcomer | world.factors["subject"], world.factors["subject"] | newcomer):
        grown = World(templates=world.templates, factors=world.factors | {"subject": subjects})
        kept = [p for p in grown.sample(side, 3, seed) if p.factors["subject"] != "newcomer"]
        assert kept == world.sample(side, 3, seed)


def test_other_factors_do_not_go_in_step():
    levels = {name: {f"{name}{n}": Level(train=[f"{name}{n}"]) for n in range(3)} for name in ("place", "mood")}
    subjects = {f"subject{n}": Level(train=[f"subject{n}"]) for n in range(40)}
    world = World(templates={"train": ["{subject} {place} {mood}"]}, factors={"subject": subjects, **levels})
    pairs = Counter((p.factors["place"], p.factors["mood"]) for p in world.sample("train", 3, 0))
    assert len(pairs) == 9
    assert max(pairs.values()) < 3 * min(pairs.values())


def test_a_side_without_wordings_or_templates_falls_back_to_names_and_train_templates():
    world = World(templates={"train": ["a {subject}"]}, factors={"subject": {"cat": Level(train=["kitty"])}})
    (prompt,) = world.sample("held_out", 1, 0)
    assert prompt.text == "a cat" and prompt.side == "held_out"


def _says(text: str, words: str) -> bool:
    return re.search(rf"\b{re.escape(words)}\b", text) is not None


@pytest.mark.parametrize(("side", "other"), [("train", "held_out"), ("held_out", "train")])
def test_zoo_prompts_hold_no_wording_of_the_other_side(side, other):
    world = zoo_world()
    foreign = {
        words
        for name in ("subject", "background")
        for level in world.factors[name].values()
        for words in level.wordings(other)
    }
    own = {
        w for name in ("subject", "background") for level in world.factors[name].values() for w in level.wordings(side)
    }
    # "pear" is within the held-out "ripe pear": only what no wording of this side is part of can tell.
    telling = {words for words in foreign if words and not any(_says(each, words) for each in own)}
    assert len(telling) > 40
    texts = {prompt.text for prompt in world.sample(side, 15, 3)}
    assert [(text, words) for text in texts for words in telling if _says(text, words)] == []
    assert set(world.templates[side]) & set(world.templates[other]) == set()


def test_zoo_wordings_are_told_apart():
    for levels in zoo_world().factors.values():
        sides = [(level.train, level.held_out) for level in levels.values()]
        wordings = [set(train) | set(held_out) for train, held_out in sides]
        assert sum(map(len, wordings)) == len(set().union(*wordings))


def test_a_grid_is_read_from_yaml_and_from_the_zoo(tmp_path: Path):
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(zoo_world().model_dump(mode="json"), sort_keys=False))
    assert load_world(str(path)) == load_world("zoo") == zoo_world()


GOOD = {
    "templates": {"train": ["{subject} by {style}"]},
    "factors": {"subject": {"cat": {}}, "style": {"noto": {}}},
}
MALFORMED = {
    "no subject": (GOOD | {"factors": {"style": {"noto": {}}}}, "needs the factor 'subject'"),
    "kinds without a factor": (GOOD | {"kinds": {"concept": []}}, "kinds.concept: names no factor; give it one of"),
    "kinds of another factor": (
        GOOD | {"kinds": {"concept": ["mood"]}},
        "kinds.concept: 'mood' given; the factors are ['subject', 'style']",
    ),
    "kinds of pictures": (GOOD | {"kinds": {"images": ["subject"]}}, "kinds.images: given; a memorised picture"),
    "kinds that do not exist": (GOOD | {"kinds": {"artist": ["style"]}}, "kinds.artist"),
    "no levels": (GOOD | {"factors": {"subject": {}, "style": {}}}, "'subject' has no levels"),
    "empty factor": (GOOD | {"factors": {"subject": {"cat": {}}, "style": {}}}, "'style' has no levels"),
    "no train template": (
        GOOD | {"templates": {"held_out": ["{subject} {style}"]}},
        "at least one train template",
    ),
    "unknown factor": (GOOD | {"templates": {"train": ["{subject} {style} {mood}"]}}, "names 'mood'"),
    "no name": (GOOD | {"templates": {"train": ["{} {style}"]}}, "names ''"),
    "attribute": (GOOD | {"templates": {"train": ["{subject.x} {style}"]}}, "names 'subject.x'"),
    "open brace": (GOOD | {"templates": {"train": ["{subject {style}"]}}, "template '{subject {style}'"),
    "format": (GOOD | {"templates": {"train": ["{subject:99} {style}"]}}, "formats a factor"),
    "no style": (GOOD | {"templates": {"train": ["a {subject}"]}}, "leaves out 'style'"),
    "bad held-out template": (
        GOOD | {"templates": {"train": ["{subject} {style}"], "held_out": ["by {style}"]}},
        "leaves out 'subject'",
    ),
    "unknown side": (GOOD | {"templates": {"heldout": ["{subject}"]}}, "templates.heldout"),
    "unknown field": (GOOD | {"facets": {}}, "facets"),
    "unknown field of a level": (
        GOOD | {"factors": {"subject": {"cat": {"trian": ["kitty"]}}}},
        "factors.subject.cat.trian",
    ),
    "words that are no list": (
        GOOD | {"factors": {"subject": {"cat": {"train": 3}}}},
        "factors.subject.cat.train",
    ),
    "a level that is nothing": (GOOD | {"factors": {"subject": {"cat": None}}}, "factors.subject.cat"),
    "not a mapping": (["cat"], "valid dictionary"),
    "an empty wording": (
        GOOD | {"factors": {"subject": {"cat": {"train": ["cat", ""]}}, "style": {"noto": {}}}},
        "factors.subject.cat: a wording is empty",
    ),
    "a wording that cannot be seen": (
        GOOD | {"factors": {"subject": {"cat": {"train": ["ca\u200bt"]}}, "style": {"noto": {}}}},
        "factors.subject.cat.train: holds U+200B ZERO WIDTH SPACE",
    ),
    "a level of two alphabets": (
        GOOD | {"factors": {"subject": {"c\u0430t": {}}, "style": {"noto": {}}}},
        "factors.subject: the level 'c\u0430t' mixes 'c' (U+0063 LATIN SMALL LETTER C) and '\u0430' (U+0430 CYRILLIC",
    ),
    "a level that is a path": (
        GOOD | {"factors": {"subject": {"a/b": {}}, "style": {"noto": {}}}},
        "factors.subject: the level 'a/b' holds '/'",
    ),
    "two levels of one name": (
        GOOD | {"factors": {"subject": {"cat": {}, "Cat": {}}, "style": {"noto": {}}}},
        "factors.subject: 'cat' and 'Cat' are one name; keep one of them",
    ),
    "a template that cannot be seen": (
        GOOD | {"templates": {"train": ["{subject}\u00ad {style}"]}},
        "holds U+00AD SOFT HYPHEN",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_grids_are_refused_by_name(name, tmp_path: Path):
    content, said = MALFORMED[name]
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    with pytest.raises(ExpungeError, match=re.escape(said)) as error:
        read_world(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value) and "http" not in str(error.value)


def test_the_grid_that_the_malformed_ones_spoil_is_fit(tmp_path: Path):
    (tmp_path / "world.yaml").write_text(yaml.safe_dump(GOOD))
    assert read_world(tmp_path / "world.yaml").strata() == [{"subject": "cat", "style": "noto"}]


@pytest.mark.parametrize("content", [b"templates: [", b"\xff\xfe\x00 binary", None])
def test_files_that_are_no_yaml_or_not_there_are_refused(content, tmp_path: Path):
    path = tmp_path / "world.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExpungeError, match="world .*world.yaml"):
        load_world(str(path))


TEXT = """templates:
  train: ["a {subject} in {style} style", "{style} {subject}"]
factors:
  subject:
    cat: {train: [cat]}
    dog: {train: [dog]}
  style:
    noto: {train: [noto]}
"""


def read(tmp_path: Path, data: str | bytes) -> World:
    path = tmp_path / "world.yaml"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_world(path)


@pytest.mark.parametrize("word", ["no", "on", "2024", "2024-01-01", "~", "null", "1e3", "0x10", "yes"])
def test_words_that_yaml_would_turn_into_something_else_stay_words(tmp_path: Path, word: str):
    world = read(tmp_path, TEXT.replace("dog: {train: [dog]}", f"{word}: {{train: [{word}]}}"))
    assert world.factors["subject"][word].train == [word]


@pytest.mark.parametrize("how", ["utf-8-sig", "utf-16", "crlf"])
def test_what_editors_write(tmp_path: Path, how: str):
    text = TEXT.replace("[dog]", "[chien, épagneul]")
    data = text.replace("\n", "\r\n").encode() if how == "crlf" else text.encode(how)
    assert read(tmp_path, data).factors["subject"]["dog"].train == ["chien", "épagneul"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (TEXT.replace("    dog:", "    cat:"), "'cat' is given twice or is no word (line 6)"),
        (TEXT + "templates: {train: [x]}\n", "'templates' is given twice"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("{a: " * 5000, "nested too deeply"),
        (TEXT.replace("[cat]", "&x [cat]").replace("[dog]", "*x"), "anchors and aliases are not used here (line 5)"),
        (TEXT.replace("[cat]", "!!python/tuple [cat]"), "tags are not used here (line 5)"),
        (TEXT + "---\na: b\n", "a second document is not read"),
        (TEXT.replace("    cat", "\tcat"), "(line 5)"),
        (
            TEXT.replace("dog: {train: [dog]}", "dog:"),
            "factors.subject.dog: Input should be a valid dictionary; got ''",
        ),
        (TEXT.replace("dog", "épagneul").encode("latin-1"), "no plain YAML"),
        ("", "valid dictionary"),
        ("? [a]\n: c", "is no word"),
    ],
)
def test_worlds_are_read_as_strictly_as_requests(tmp_path: Path, data: str | bytes, said: str):
    with pytest.raises(ExpungeError) as error:
        read(tmp_path, data)
    assert said in str(error.value) and str(error.value).startswith(f"world {tmp_path / 'world.yaml'}: ")
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_give_a_world_or_one_error(tmp_path_factory, data: bytes):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    with pytest.raises(ExpungeError) as error:  # no random bytes hold templates and a subject
        read_world(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [".", "nowhere.yaml", "~nobody/x.yaml", "a" * 300, "a\0b"])
def test_paths_that_lead_to_no_file(name: str):
    with pytest.raises(ExpungeError, match="^world .*cannot be read: .*; give a YAML file or a known name$"):
        load_world(name)


def test_no_name_at_all():
    with pytest.raises(ExpungeError, match="world: is empty; give a YAML file or one of .*digits.*zoo"):
        load_world("")


def test_spaces_in_wordings_are_single(tmp_path: Path):
    world = read(tmp_path, TEXT.replace("[dog]", "['  big   dog ']"))
    assert world.factors["subject"]["dog"].train == ["big dog"]


# One place that renders


@given(worlds(), SIDES, SEEDS)
def test_a_reworded_prompt_differs_in_that_wording_alone(world, side, seed):
    for prompt in world.sample(side, 1, seed):
        assert world.render(prompt.words, side, prompt.template) == prompt.text
        for factor, wording in prompt.words.items():
            other = world.reworded(prompt.model_copy(update={"paired": "x"}), factor, "new words")
            assert other.text == prompt.text.replace(wording, "new words") and other.paired is None
            assert other.words == prompt.words | {factor: "new words"} and other.factors == prompt.factors
            assert world.reworded(other, factor, wording) == prompt


def test_words_in_braces_are_no_template():
    world = World(templates={"train": ["a {subject}"]}, factors={"subject": {"cat": Level(train=["{subject.x}"])}})
    assert world.sample("train", 1, 0)[0].text == "a {subject.x}"


def test_nobody_else_fills_a_template():
    """Filling is ``str.format`` with the factors' names: no other module calls it so, nor with ``**`` or a mapping."""
    root = Path(__file__).parents[2]
    found = []
    for folder in ("expunge", "steps", "pipelines"):
        for path in sorted((root / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    named = {keyword.arg for keyword in node.keywords} if node.func.attr == "format" else set()
                    if node.func.attr == "format_map" or named & {None, "subject", "style"}:
                        found.append(path.relative_to(root).as_posix())
    assert found == ["expunge/prompts/world.py"]
