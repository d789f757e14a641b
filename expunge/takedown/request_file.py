"""Requests as YAML files, read as if written by a stranger."""

import re
import unicodedata
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any

import yaml
from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.takedown.plain_yaml import describe, read_plain_yaml, short
from expunge.takedown.request import Kind, TakedownRequest

MAX_BYTES = 64 * 1024
_DEPTH = 3  # a mapping of lists of words needs no more


def parse_request(data: bytes, request_id: str, filed_at: Callable[[], datetime]) -> TakedownRequest:
    """Read a request file.

    Args:
        data: the file's bytes, UTF-8 YAML, at most 64 KiB.
        request_id: the file's stem; the file may repeat it as ``id``.
        filed_at: asked where the file gives no ``filed_at``.

    Raises:
        ExpungeError: the file is too large, no YAML mapping, or breaks a rule of ``TakedownRequest``; the
            message names the field, what was given and what is allowed.
    """
    if len(data) > MAX_BYTES:
        raise ExpungeError(f"the request file has {len(data)} bytes; at most {MAX_BYTES} are allowed")
    try:
        fields = read_plain_yaml(data, _DEPTH)
    except ExpungeError as error:
        raise ExpungeError(f"the request file is {error}") from error
    if not isinstance(fields, dict):
        raise ExpungeError("the request file must hold fields such as 'kind: style' and 'target: NAME'")
    fields = {name: value for name, value in fields.items() if value != ""}
    if fields.get("id", request_id) != request_id:
        raise ExpungeError(f"id: {short(fields['id'])} differs from the file's name '{request_id}'; drop the line")
    if "filed_at" not in fields:
        fields["filed_at"] = filed_at()
    return build_request(fields | {"id": request_id})


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
    """One pydantic error in one line, with what is allowed in place of pydantic's words where those are obscure."""
    field = error["loc"][0] if error["loc"] else ""
    if error["type"] not in ("missing", "extra_forbidden"):
        if field == "kind":
            return f"kind: got {short(error['input'])}; allowed are {', '.join(Kind)}"
        if field == "id":
            allowed = "1 to 63 lower-case letters, digits and hyphens, the first no hyphen"
            return f"id: got {short(error['input'])}; allowed are {allowed}"
    return describe(error, TakedownRequest.model_fields)
