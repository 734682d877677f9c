"""Words a caller may use for the header words that state the position of the first voxel."""

from __future__ import annotations

from mrcarray.errors import MrcValueError

__all__ = ["PLACEMENTS", "check_placement"]

PLACEMENTS = ("auto", "nstart", "origin", "both")
"""As the source was placed; words 5-7; words 50-52; both."""


def check_placement(placement: str) -> None:
    """Refuse a placement that is none of `PLACEMENTS`.

    Raises
    ------
    MrcValueError
        When it is none of them.

    Examples
    --------
    >>> check_placement("nstart")
    """
    if placement not in PLACEMENTS:
        raise MrcValueError(f"placement is {placement!r}; expected one of {', '.join(PLACEMENTS)}")
