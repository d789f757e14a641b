"""Requests as YAML files, read as if written by a stranger."""

import re
import unicodedata
from datetime import datetime
from hashlib import sha256
from typing import Any

import yaml
from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.takedown.request import Kind, TakedownRequest

MAX_BYTES = 64 * 1024
MAX_DEPTH = 3  # a mapping of lists of words needs no more


class _PlainLoader(yaml.BaseLoader):
    """YAML without its sharp edges.

    Every scalar is text (``target: no`` means the word); pydantic parses the date. Tags, anchors, deep
    nesting and duplicate keys are refused.
    """

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not used here", problem_mark=event.start_mark)
        if getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(problem="tags are not used here", problem_mark=event.start_mark)
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen if isinstance(key_node.value, str) else True:
                problem = f"the key {_short(key_node.value)} is given twice or is no word"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def parse_request(data: bytes, request_id: str, filed_at: datetime) -> TakedownRequest:
    """Read a request file.

    Args:
        data: the file's bytes, UTF-8 YAML, at most 64 KiB.
        request_id: the file's stem; the file may repeat it as ``id``.
        filed_at: used where the file gives no ``filed_at``.

    Raises:
        ExpungeError: the file is too large, no YAML mapping, or breaks a rule of ``TakedownRequest``; the
            message names the field, what was given and what is allowed.
    """
    if len(data) > MAX_BYTES:
        raise ExpungeError(f"the request file has {len(data)} bytes; at most {MAX_BYTES} are allowed")
    try:
        fields = yaml.load(data, Loader=_PlainLoader)  # noqa: S506 - stricter than the safe loader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ExpungeError(f"the request file is no plain YAML: {_where(error)}") from error
    if not isinstance(fields, dict):
        raise ExpungeError("the request file must hold fields such as 'kind: style' and 'target: NAME'")
    fields = {name: value for name, value in fields.items() if value != ""}
    if fields.get("id", request_id) != request_id:
        raise ExpungeError(f"id: {_short(fields['id'])} differs from the file's name '{request_id}'; drop the line")
    return build_request({"filed_at": filed_at} | fields | {"id": request_id})


def build_request(fields: dict[str, Any]) -> TakedownRequest:
    """A request from its fields.

    Raises:
        ExpungeError: as ``parse_request``.
    """
    try:
        return TakedownRequest.model_validate(fields)
    except ValidationError as error:
        raise ExpungeError("; ".join(_explain(each) for each in error.errors()[:5])) from error


def dump_request(request: TakedownRequest) -> bytes:
    """The request as the YAML file that ``parse_request`` reads back."""
    fields = request.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(fields, allow_unicode=True, sort_keys=False, width=100).encode()


def derive_id(kind: Kind, target: str, number: int = 1) -> str:
    """The id of a request that was filed without one, e.g. ``style-noto``; ``style-noto-2`` for ``number`` 2.

    Letters without an ASCII form are dropped; where none are left, a hash of the target stands in.
    """
    plain = unicodedata.normalize("NFKD", target).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or sha256(target.encode()).hexdigest()[:10]
    suffix = f"-{number}" if number > 1 else ""
    return f"{kind.value}-{words}"[: 63 - len(suffix)].rstrip("-") + suffix


def _explain(error: Any) -> str:
    """One pydantic error as ``field: what is wrong, got what, allowed what``."""
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{_short(field)}: unknown field; known are {', '.join(TakedownRequest.model_fields)}"
    if error["type"] == "missing":
        return f"{field}: is missing"
    if field.partition(".")[0] == "kind":
        return f"kind: got {_short(error['input'])}; allowed are {', '.join(Kind)}"
    if field == "id":
        allowed = "1 to 63 lower-case letters, digits and hyphens, the first no hyphen"
        return f"id: got {_short(error['input'])}; allowed are {allowed}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{field}: {message}; got {_short(error['input'])}" if field else message


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _where(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    """What is wrong in a YAML file and in which line, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} (line {error.problem_mark.line + 1})"
    return " ".join(str(error).split())[:200]
