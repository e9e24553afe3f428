"""How often an automatic scorer errs, from labelled cases: counts, so that their uncertainty travels with them."""

from dataclasses import dataclass

from rctgap.errors import DataError, Fault

__all__ = ["ErrorRates"]


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Labelled cases of one scorer, by what a human and the scorer said.

    Attributes
    ----------
    scorer : str
        Its name; stages that share a scorer share its error rates.
    hits, misses : float
        Cases that are right, scored right and wrong.
    correct_rejections, false_alarms : float
        Cases that are wrong, scored wrong and right.

    Raises
    ------
    DataError
        A negative count, or no right or no wrong case.

    Examples
    --------
    >>> from rctgap.error_rates import ErrorRates
    >>> rates = ErrorRates("edit_distance", hits=45, misses=5, correct_rejections=80, false_alarms=20)
    >>> rates.sensitivity, rates.specificity
    (0.9, 0.8)
    """

    scorer: str
    hits: float
    misses: float
    correct_rejections: float
    false_alarms: float

    def __post_init__(self) -> None:
        counts = (self.hits, self.misses, self.correct_rejections, self.false_alarms)
        if min(counts) < 0 or self.hits + self.misses <= 0 or self.correct_rejections + self.false_alarms <= 0:
            shown = ", ".join(f"{one:g}" for one in counts)
            what = f"scorer {self.scorer!r} has hits, misses, correct rejections, false alarms {shown}"
            raise DataError(Fault(what, "Give counts from 0 up, with right cases and wrong cases among them"))

    @property
    def sensitivity(self) -> float:
        """P(scored right | right)."""
        return self.hits / (self.hits + self.misses)

    @property
    def specificity(self) -> float:
        """P(scored wrong | wrong)."""
        return self.correct_rejections / (self.correct_rejections + self.false_alarms)
