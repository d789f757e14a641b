"""How a registered model may be called: by MLflow, and in a key of the inbox. Light: checked before any work."""

from expunge.errors import ExpungeError

DEFAULT_NAME = "expunge-zoo"
# "/" and ":" are MLflow's own limits; the others have a meaning in models:/NAME@ALIAS or in a search of MLflow's.
FORBIDDEN = '/:@?#%"\\'
LONGEST = 200  # bytes; what a store's keys take


def check_name(name: str, field: str = "registered_model") -> str:
    """The name, if MLflow and its addresses take it.

    Raises:
        ExpungeError: they do not; the message says what is allowed.
    """
    clean = name == name.strip() and name.isprintable() and name not in (".", "..")
    if not (name and clean and len(name.encode()) <= LONGEST and not set(name) & set(FORBIDDEN)):
        raise ExpungeError(
            f"{field}: {name[:80]!r} given; a name has 1 to {LONGEST} letters, digits or signs other than "
            f"{' '.join(FORBIDDEN)}, no spaces at its ends and no line breaks, e.g. '{DEFAULT_NAME}'."
        )
    return name


def quoted(text: str) -> str:
    """The text, which holds no double quote, as a literal in a filter of MLflow's: it knows no escapes."""
    return f'"{text}"' if "'" in text else f"'{text}'"
