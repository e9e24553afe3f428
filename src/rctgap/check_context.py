"""What checks need beside a result: the trial itself, and the measures and cells that an analysis names for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rctgap.trial import TrialData

__all__ = ["CheckContext", "OtherCell"]


@dataclass(frozen=True, slots=True)
class OtherCell:
    """A mean under a set of relaxed assumptions that the chain itself does not pass through.

    Attributes
    ----------
    name : str
    score : str
        The trial's column.
    relaxes : tuple of str
        The transitions, by the stage they lead to, that are relaxed in it.
    """

    name: str
    score: str
    relaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The trial behind a result, and what is to be compared with it.

    Attributes
    ----------
    trial : TrialData
        With every column that the dictionary declares, scores of texts included.
    outcomes : mapping of str to str
        Other measures of the last stage, by name, and the column that holds each.
    cells : tuple of OtherCell
    """

    trial: TrialData
    outcomes: Mapping[str, str] = field(default_factory=dict)
    cells: tuple[OtherCell, ...] = ()
