"""The template environment of report and certificate. Every value is escaped: request text is untrusted."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from expunge.metrics.units import SHARE
from expunge.release.certificate import STATEMENT
from expunge.reports import wording

# Nothing may be loaded or run: should untrusted text ever slip past the escaping, it still has no way out.
CONTENT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(template: str, **context: Any) -> str:
    """Fill a template in ``templates/``. A name that the context lacks raises ``jinja2.UndefinedError``."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "share": SHARE.value,
        "share_difference": SHARE.difference,
        "duration": wording.duration,
        "moment": moment,
    }
    return environment.get_template(template).render(content_policy=CONTENT_POLICY, approximate=STATEMENT, **context)


def moment(time: datetime) -> str:
    """A time as people read it, e.g. ``23 November 2026, 14:05 UTC``."""
    return f"{time.day} {time:%B %Y, %H:%M} {time:%Z}".strip()


def flattened(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as ``(dotted name, value)``, in their order."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
