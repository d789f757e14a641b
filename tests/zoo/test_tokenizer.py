"""The zoo's tokenizer: one token a word, pieces for the rest."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from expunge.zoo.denoiser import END, MAX_TOKENS, START, make_tokenizer
from expunge.zoo.emoji_world import emoji_world

WORLD = emoji_world()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tokenizer")


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> CLIPTokenizer:
    return make_tokenizer(WORLD.vocabulary(), folder)


def test_every_word_is_one_token_of_its_own(tokenizer):
    ids = tokenizer(WORLD.vocabulary()).input_ids
    assert [each for each in ids if len(each) != 3] == []
    assert len({each[1] for each in ids}) == len(WORLD.vocabulary())
    assert all((each[0], each[2]) == (tokenizer.bos_token_id, tokenizer.eos_token_id) for each in ids)


def test_captions_are_spelt_word_by_word_and_fit(tokenizer):
    rng = random.Random(0)
    for subject in WORLD.subjects:
        caption = WORLD.caption(subject, rng.choice(list(WORLD.styles)), rng.choice(list(WORLD.backgrounds)), rng)
        tokens = tokenizer(caption).input_ids
        assert len(tokens) == len(caption.split()) + 2 <= MAX_TOKENS
        assert tokenizer.decode(tokens, skip_special_tokens=True).strip() == caption
        assert tokenizer(caption.upper()).input_ids == tokens


@given(st.text(alphabet=st.characters(min_codepoint=97, max_codepoint=122), min_size=6, max_size=12))
def test_unknown_words_fall_into_pieces_that_spell_them(tokenizer, word):
    pieces = tokenizer(word).input_ids[1:-1]
    assert tokenizer.decode(pieces).strip() == word
    assert len(pieces) > 1 or word in WORLD.vocabulary()


@pytest.mark.parametrize("text", ["Zebra in crayon", "ein Kätzchen", "猫", "🐈", "cat, dog!", ""])
def test_any_text_has_tokens_and_none_is_unknown(tokenizer, text):
    tokens = tokenizer(text).input_ids
    assert tokens[0] == tokenizer.bos_token_id and tokens[-1] == tokenizer.eos_token_id
    assert tokenizer.eos_token_id not in tokens[1:-1]
    assert len(tokens) > 2 or not text


def test_texts_are_padded_with_the_end_and_cut_to_length(tokenizer):
    padded, cut = tokenizer(["cat", "cat " * 50], padding="max_length", truncation=True).input_ids
    assert len(padded) == len(cut) == MAX_TOKENS
    assert set(padded[2:]) == {tokenizer.eos_token_id} == {cut[-1]}
    # The text encoder and open_clip find the end of a text as its highest token.
    assert tokenizer.convert_tokens_to_ids([START, END]) == [len(tokenizer) - 2, len(tokenizer) - 1]


def test_it_comes_back_from_its_folder(tokenizer, folder, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    texts = ["a cat in noto style", "unheard-of things", "ein Kätzchen"]
    wanted = tokenizer(texts, padding="max_length", truncation=True).input_ids
    saved = CLIPTokenizer.from_pretrained(tmp_path)
    assert saved(texts, padding="max_length", truncation=True).input_ids == wanted
    made = CLIPTokenizer.from_pretrained(folder, model_max_length=MAX_TOKENS)
    assert made(texts, padding="max_length", truncation=True).input_ids == wanted


def test_the_same_words_make_the_same_tokenizer(tokenizer, tmp_path):
    assert make_tokenizer(WORLD.vocabulary(), tmp_path).get_vocab() == tokenizer.get_vocab()
