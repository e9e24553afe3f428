"""What can go wrong, named by the phase in which it does."""

from dataclasses import dataclass, replace
from typing import Self

__all__ = [
    "MAX_LISTED",
    "AnalysisError",
    "CardError",
    "DataError",
    "DictionaryError",
    "EstimandError",
    "EstimationError",
    "Fault",
    "OutputError",
    "RctgapError",
    "RctgapWarning",
]

MAX_LISTED = 50


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input, and what would be right.

    Attributes
    ----------
    what : str
        What came and why it cannot be used.
    allowed : str
        What is allowed, or what to do.
    file, place, row, value : str or int, optional
        The file or table; the column or key path; the data row, counted from 1
        below the header; the offending value as given. Values of fields declared
        sensitive, and texts, are never put here.
    """

    what: str
    allowed: str
    file: str = ""
    place: str = ""
    row: int | None = None
    value: str | None = None

    def __str__(self) -> str:
        where = [self.file] if self.file else []
        if self.place:
            where.append(self.place)
        if self.row is not None:
            where.append(f"row {self.row}")
        if self.value is not None:
            where.append(f"value {self.value!r}")
        head = ", ".join(where)
        return f"{head}: {self.what}. {self.allowed}" if head else f"{self.what}. {self.allowed}"


class RctgapError(Exception):
    """Base of all errors that a user can mend; holds every fault found, not the first alone."""

    def __init__(self, *faults: Fault | str) -> None:
        self.faults: tuple[Fault | str, ...] = faults
        super().__init__(*faults)

    @property
    def reason(self) -> str:
        """What is wrong, in the words of the first fault alone."""
        first = self.faults[0]
        if not isinstance(first, Fault):
            return first
        return first.what if first.value is None else f"{first.what} ({first.value})"

    def at(self, file: str) -> Self:
        """The same error, its faults placed in a file where they name none."""
        return type(self)(
            *(replace(one, file=file) if isinstance(one, Fault) and not one.file else one for one in self.faults)
        )

    def __str__(self) -> str:
        if len(self.faults) == 1:
            return str(self.faults[0])
        listed = [f"  {number}. {fault}" for number, fault in enumerate(self.faults[:MAX_LISTED], 1)]
        more = [f"  and {len(self.faults) - MAX_LISTED:,} more"] if len(self.faults) > MAX_LISTED else []
        return "\n".join([f"{len(self.faults):,} faults:", *listed, *more])


class DictionaryError(RctgapError):
    """The data dictionary cannot be used."""


class DataError(RctgapError):
    """Data break their dictionary or the trial's design."""


class CardError(RctgapError):
    """The BenchmarkCard cannot be used, or lacks an assumption that the analysis names."""


class AnalysisError(RctgapError):
    """The analysis file or a command's arguments cannot be used."""


class EstimandError(RctgapError):
    """The estimand is undefined, or the data cannot identify it."""


class EstimationError(RctgapError):
    """The estimator or covariance asked for does not apply here."""


class OutputError(RctgapError):
    """A result cannot be written or read."""


class RctgapWarning(UserWarning):
    """A number was computed, and its limits should be read with it."""
