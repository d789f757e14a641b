"""Crownings, as promotions write them, and requests that they fulfil."""

from datetime import UTC, datetime
from typing import Any

from expunge.takedown.champion_log import Crowning
from expunge.takedown.inbox import Inbox


def crowning(version: int, replaces: int | None, adds: tuple[str, ...] = (), why: str = "promotion") -> Crowning:
    return Crowning(version=version, replaces=replaces, adds=adds, why=why, at=datetime.now(UTC))


def fulfil(inbox: Inbox, request_id: str, certificate: dict[str, Any] | None = None) -> None:
    """Let a new champion cover a claimed request, and close it."""
    current = inbox.champions.current()
    version = current.version if current else 0
    inbox.champions.crown(crowning(version + 1, version or None, (request_id,)))
    inbox.close(request_id, "fulfilled", "passed", certificate)
