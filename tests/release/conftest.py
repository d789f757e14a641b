"""The made run and the strict reader of pages, as for reports."""

from tests.reports.conftest import parts_fixture, read_page_fixture

__all__ = ["parts_fixture", "read_page_fixture"]
