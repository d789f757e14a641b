"""Tables in Markdown. Texts come from requests and worlds: none may end a column or begin markup."""

from collections.abc import Iterable, Sequence


def markdown_table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Head, rule and rows, every cell on one line."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(safe(cell) for cell in line)} |" for line in lines)


def safe(text: str) -> str:
    """On one line, without a column's end or markup."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
