"""Names of things as people type them: none that is not what it looks like, and when two are one.

Source: Unicode Technical Standard 39, *Unicode Security Mechanisms*, of which this keeps what a name of a few words
needs: nothing invisible, no word of two alphabets, and a table of the letters that pass for Latin ones.
"""

import re
import unicodedata
from functools import lru_cache

MAX_NAME = 100  # characters

_PATH_OR_URL = ("://", "..", "/", "\\")
_BRACES = ("{", "}")  # templates of a world are filled with str.format
_SEPARATORS = {"Zl", "Zp"}
_BIDI_OVERRIDES = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_JOINERS = "\u200c\u200d"  # that Persian, the scripts of India and emoji are spelt with
_SELECTORS = {chr(code) for code in range(0xFE00, 0xFE10)}  # text or emoji style of the sign before
_BLANK = set("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")  # "letters" without ink
_ALPHABETS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "COPTIC", "CHEROKEE", "LISU")  # that share shapes
_LOOK_LATIN = str.maketrans(
    "авсеѕіјкмнортухһԁԛԝɡαβεηικνορτυχωıɑ",
    "abcesijkmhoptyxhdqwgabenikvoptuxwia",
)


def refuse_control(text: str, allowed: str = "") -> str:
    """Refuse characters that could change how the text is shown, stored or parsed. Raises ValueError."""
    for character in "" if text.isascii() and text.isprintable() else text:
        category = unicodedata.category(character)
        hidden = category in {"Cc", "Cs"} | _SEPARATORS or character in _BIDI_OVERRIDES
        if hidden and character not in allowed:
            raise ValueError(f"holds the control character U+{ord(character):04X}; write plain text")
    return text


def check_words(text: str) -> str:
    """Plain words that are what they look like; surrounding and repeated spaces are dropped.

    Raises:
        ValueError: a character cannot be seen, or a word mixes alphabets; the message names the code point.
    """
    refuse_control(text)
    if text.isascii():
        return " ".join(text.split())
    for before, character, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        if _is_hidden(before, character, after):
            raise ValueError(f"holds {code_point(character)}, which cannot be seen; leave it out")
    for word in re.findall(r"\w+", unicodedata.normalize("NFKC", text)):
        letters = {alphabet: letter for letter in reversed(word) if (alphabet := _alphabet(letter))}
        if len(letters) > 1:
            said = " and ".join(f"'{letter}' ({code_point(letter)})" for letter in list(letters.values())[:2])
            raise ValueError(f"mixes {said} in one word; write it in the letters of one alphabet")
    return " ".join(text.split())


def check_name(text: str) -> str:
    """A target, a synonym or a level: plain words that can stand in a prompt.

    Raises:
        ValueError: as ``check_words``, or it is empty, long, a path, a URL or a template.
    """
    text = check_words(text)
    for mark in (*_PATH_OR_URL, *_BRACES):
        if mark in text:
            what = "a template" if mark in _BRACES else "a path or URL"
            raise ValueError(f"holds '{mark}' as in {what}; write the plain name that prompts use")
    if not text:
        raise ValueError("is empty; write the name that prompts use")
    if len(text) > MAX_NAME:
        raise ValueError(f"has {len(text)} characters; at most {MAX_NAME} are allowed")
    return text


def check_file_name(name: str) -> str:
    """A picture's plain file name: no path, no URL, not hidden. Raises ValueError."""
    refuse_control(name)
    if any(mark in name for mark in (*_PATH_OR_URL, ":")):
        raise ValueError("is a path or URL; name a file that lies in the request's own folder")
    if not name or name.startswith(".") or name != name.strip():
        raise ValueError("is empty, hidden or padded with spaces; give a plain file name")
    if len(name.encode()) > MAX_NAME:
        raise ValueError(f"has {len(name.encode())} bytes; at most {MAX_NAME} are allowed")
    return name


@lru_cache(maxsize=100_000)
def same_name(name: str) -> str:
    """What two spellings of one name share: compatibility form, case folded, nothing invisible, single spaces."""
    seen = "".join(each for each in unicodedata.normalize("NFKC", name).casefold() if not _is_ignorable(each))
    return " ".join(unicodedata.normalize("NFKC", seen).split())


def look(name: str) -> str:
    """What two names share that look alike: ``same_name`` in Latin letters without accents, as far as they pass."""
    parts = unicodedata.normalize("NFKD", same_name(name).translate(_LOOK_LATIN))
    return "".join(each for each in parts if not unicodedata.combining(each))


def code_point(character: str) -> str:
    """Number and name of a character, e.g. ``U+0441 CYRILLIC SMALL LETTER ES``."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()


def _is_hidden(before: str, character: str, after: str) -> bool:
    """Whether a character cannot be seen and is not needed to spell what stands around it."""
    if character in _JOINERS:
        return any(each.isspace() or each.isascii() or _alphabet(each) for each in (before, after))
    if character in _SELECTORS:
        return before.isspace() or before.isalpha()
    return _is_ignorable(character)


def _is_ignorable(character: str) -> bool:
    return not character.isascii() and (
        unicodedata.category(character) == "Cf" or character in _BLANK or character in _SELECTORS
    )


def _alphabet(letter: str) -> str:
    """Which of the alphabets that share shapes a letter belongs to; empty if to none."""
    script = unicodedata.name(letter, "").partition(" ")[0] if letter.isalpha() else ""
    return script if script in _ALPHABETS else ""
