"""Several amounts to try, each a share of a whole."""

from typing import Annotated

from pydantic import AfterValidator


def _distinct(shares: tuple[float, ...]) -> tuple[float, ...]:
    if not shares or not all(0 < each <= 1 for each in shares) or len(set(shares)) < len(shares):
        raise ValueError(f"{shares} given; different numbers above 0 and up to 1 are needed")
    return shares


Shares = Annotated[tuple[float, ...], AfterValidator(_distinct)]
