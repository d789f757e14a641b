"""YAML as strangers write it, without its sharp edges, and what is wrong with it in one line."""

from collections.abc import Iterable
from typing import Any

import yaml

from expunge.errors import ExpungeError

_Events = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml's parser, where there is one


def read_plain_yaml(data: bytes, depth: int) -> Any:
    """Lists and mappings of text, nothing else: ``target: no`` means the word, and what is empty is the empty text.

    Args:
        data: UTF-8 or UTF-16.
        depth: how many lists and mappings may lie within each other.

    Raises:
        ExpungeError: it is no YAML, nested more deeply, or holds tags, anchors, duplicate keys, keys that are no words
            or a second document; the message names the line.
    """
    events = _Events(data)
    try:
        events.get_event()  # of the stream
        if events.check_event(yaml.StreamEndEvent):
            return ""
        events.get_event()  # of the document
        value = _value(events, depth)
        events.get_event()
        if not events.check_event(yaml.StreamEndEvent):
            raise _refused("a second document is not read", events.peek_event())
        return value
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ExpungeError(f"no plain YAML: {_where(error)}") from error


def describe(error: Any, known: Iterable[str]) -> str:
    """One of pydantic's errors as ``field: what is wrong; got what``.

    Args:
        error: of ``ValidationError.errors()``.
        known: the fields that are allowed where it was found.
    """
    field = ".".join(str(part) for part in error["loc"] if part != "[key]")
    if error["type"] == "extra_forbidden":
        return f"{short(field)}: unknown field; known are {', '.join(known)}"
    if error["type"] == "missing":
        return f"{field}: is missing"
    message = error["msg"].removeprefix("Value error, ").partition(" or instance of ")[0]
    return f"{field}: {message}; got {short(error['input'])}" if field else message


def short(value: Any) -> str:
    """The value as Python writes it, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _value(events: Any, depth: int) -> Any:
    """What the next events say."""
    event = events.get_event()
    if event.anchor is not None:
        raise _refused("anchors and aliases are not used here", event)
    if event.tag is not None:
        raise _refused("tags are not used here", event)
    if isinstance(event, yaml.ScalarEvent):
        return event.value
    if depth == 0:
        raise _refused("nested too deeply", event)
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not events.check_event(yaml.SequenceEndEvent):
            items.append(_value(events, depth - 1))
        events.get_event()
        return items
    fields: dict[str, Any] = {}
    while not events.check_event(yaml.MappingEndEvent):
        start = events.peek_event()
        name = _value(events, depth - 1)
        if not isinstance(name, str) or name in fields:
            raise _refused(f"the key {short(name)} is given twice or is no word", start)
        fields[name] = _value(events, depth - 1)
    events.get_event()
    return fields


def _refused(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _where(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    """What is wrong and in which line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} (line {error.problem_mark.line + 1})"
    return " ".join(str(error).split())[:200]
