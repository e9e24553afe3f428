"""Rows of a result on how texts became scores, and what other ways to score change."""

from dataclasses import dataclass

__all__ = ["ScoringRow", "SpecificationRow"]


@dataclass(frozen=True, slots=True)
class ScoringRow:
    """One row of scoring.csv: something about how texts became scores.

    Attributes
    ----------
    stage, arm : str
        `arm` is empty where the row is of all arms.
    scorer : str
        Its name, or `raters` for people among themselves.
    quantity : str
        `texts`, `mean score`, `texts with a denied hit`, `note: ...`; `agreement`, `sensitivity`, `specificity`, `ppv`,
        `npv`, `kappa`, `alpha`; `automatic`, `labels alone`, `rectified` means, and `lambda`.
    estimate, lower, upper, level : float or None
    n : int
        Texts, or labelled cases.
    """

    stage: str
    arm: str
    scorer: str
    quantity: str
    estimate: float | None
    lower: float | None
    upper: float | None
    level: float | None
    n: int | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class SpecificationRow:
    """A quantity under one way to score the texts.

    Attributes
    ----------
    specification : int
        From 1; 1 is the way that the analysis asked for.
    choices : str
        What scores each stage that is scored here: "stage: scorer, scope, settings", ;-joined.
    fewest : int or None
        Fewest people, successes or failures behind a stage of the arm (of any arm, for `all`); not published.
    """

    specification: int
    choices: str
    arm: str
    quantity: str
    kind: str
    family: str
    estimate: float | None
    std_error: float | None
    lower: float | None
    upper: float | None
    level: float
    interval: str
    scores: str
    n: int | None
    note: str
    fewest: int | None = None
