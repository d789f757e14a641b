"""Fixtures for reports, and a strict reader of pages."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from expunge.reports.report_facts import ReportFacts
from expunge.reports.takedown_report import render_report
from tests.reports import made_facts


@pytest.fixture(name="make_facts", scope="session")
def make_facts_fixture() -> Callable[..., ReportFacts]:
    return made_facts.make_facts


@pytest.fixture(name="parts", scope="session")
def parts_fixture() -> dict[str, Callable[..., Any]]:
    """The makers of single facts, by name."""
    return {
        "pictures": made_facts.make_pictures,
        "evaluation": made_facts.make_evaluation,
        "decision": made_facts.make_decision,
        "findings": made_facts.make_findings,
        "trace": made_facts.make_trace,
        "requests": made_facts.make_requests,
        "change": made_facts.change,
    }


class Page(HTMLParser):
    """A page read strictly: every element closed in order. Holds its elements and its visible text."""

    VOID = frozenset({"meta", "link", "img", "input", "br", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of that name."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(name="read_page", scope="session")
def read_page_fixture() -> type[Page]:
    return Page


@pytest.fixture(scope="session")
def report_html() -> str:
    """The report of the whole run."""
    return render_report(made_facts.make_facts())
