"""On what grounds a claim can be made, and which grade each ground gives."""

from __future__ import annotations

from provenance.evidence.errors import GradeOfAnotherMethod, UnknownGrade, UnknownMethod
from provenance.records import GRADES

DECLARED, DETECTED, DATED, LICENSED, SIGNED, JUDGED = (
    "declared",
    "detector",
    "published before a cutoff",
    "licence deal",
    "signed statement",
    "judged by a person",
)
#: What people, files and tools can give as the ground of a claim -> grade.
METHODS: dict[str, str] = {
    DECLARED: "declared",
    DETECTED: "detector",
    DATED: "dated",
    LICENSED: "attested",
    SIGNED: "attested",
    JUDGED: "curated",
}


def rank_of(method: str, grade: str | None = None) -> int:
    """Return the rank, 1 to 5, of what is known by a method.

    Parameters
    ----------
    grade : as its author states it; None where it is left to the method

    Raises
    ------
    UnknownMethod, UnknownGrade
        If there is no such method or grade.
    GradeOfAnotherMethod
        If the method gives another grade.
    """
    if method not in METHODS:
        raise UnknownMethod(method, METHODS)
    if grade is not None and grade not in GRADES:
        raise UnknownGrade(grade, GRADES)
    if grade is not None and grade != METHODS[method]:
        raise GradeOfAnotherMethod(method, METHODS[method], grade)
    return GRADES.index(METHODS[method])
