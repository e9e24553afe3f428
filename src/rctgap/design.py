"""The design of a trial: its arms, what they borrow, its units, and the rows that it leaves out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rctgap.errors import DataError, Fault

__all__ = ["Arm", "Borrowing", "Design", "Exclusion"]


@dataclass(frozen=True, slots=True)
class Borrowing:
    """A stage taken from another randomised arm's rows, and why that is allowed."""

    stage: str
    arm: str
    because: str

    def __post_init__(self) -> None:
        if not self.because.strip():
            raise DataError(
                Fault(
                    f"stage {self.stage!r} is borrowed from {self.arm!r} without a reason",
                    "State under `because` why its scores have the same distribution in both arms",
                    place="arms.ai.rows",
                )
            )


@dataclass(frozen=True, slots=True)
class Arm:
    """An AI arm: its label in the data, the system its participants used, and the stages it borrows."""

    label: str
    system: str = ""
    borrowed: tuple[Borrowing, ...] = ()

    @property
    def tested(self) -> str:
        """The system under test: the label, unless stated."""
        return self.system or self.label

    def rows_of(self, stage: str) -> str:
        """The arm whose rows carry this stage."""
        return next((loan.arm for loan in self.borrowed if loan.stage == stage), self.label)

    def borrows(self, stage: str) -> bool:
        """Whether the stage comes from another arm."""
        return self.rows_of(stage) != self.label


@dataclass(frozen=True, slots=True)
class Design:
    """Arms and units of the trial.

    Attributes
    ----------
    control : str, optional
        Label of the control arm.
    ai : sequence of str or Arm
        The AI arms to analyse.
    unit : {"participant", "observation"}
        What was randomised.
    crossover : bool
        Whether a participant may appear in several arms.
    strata : tuple of str
        Columns within which randomisation was carried out.
    column : str, optional
        The arm column, where the dictionary gives several columns the role `arm`.

    Raises
    ------
    DataError
        No AI arm, an arm named twice, or the control among the AI arms.

    Examples
    --------
    >>> from rctgap.design import Design
    >>> [arm.label for arm in Design(control="control", ai=["a1"]).arms]
    ['a1']
    """

    control: str | None = None
    ai: Sequence[str | Arm] = ()
    unit: Literal["participant", "observation"] = "participant"
    crossover: bool = False
    strata: tuple[str, ...] = ()
    column: str | None = None

    def __post_init__(self) -> None:
        given = (self.ai,) if isinstance(self.ai, str) else tuple(self.ai)
        object.__setattr__(self, "ai", tuple(arm if isinstance(arm, Arm) else Arm(str(arm)) for arm in given))
        object.__setattr__(self, "strata", tuple(self.strata))
        object.__setattr__(self, "control", None if self.control is None else str(self.control))
        labels = [arm.label for arm in self.arms] + ([self.control] if self.control is not None else [])
        if not self.arms:
            raise DataError(Fault("no AI arm is given", "Name at least one arm to analyse", place="arms.ai"))
        for label in labels:
            if labels.count(label) > 1 or label == "all":
                raise DataError(
                    Fault(
                        "an arm's label must be its own",
                        "Name each arm once; `all` is kept for the pooled row",
                        place="arms",
                        value=label,
                    )
                )

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The AI arms as records."""
        return self.ai  # type: ignore[return-value]  # __post_init__ made them all Arm

    @property
    def labels(self) -> tuple[str, ...]:
        """Every arm whose rows are used: control, AI arms, lenders."""
        lenders = [loan.arm for arm in self.arms for loan in arm.borrowed]
        known = ([self.control] if self.control is not None else []) + [arm.label for arm in self.arms] + lenders
        return tuple(dict.fromkeys(known))


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Rows left out before the analysis: those where every named column has its value."""

    where: Mapping[str, object]
    reason: str
