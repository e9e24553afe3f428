"""Staged evaluation: each transition, in order, held against a margin."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rctgap import posterior_quantities
from rctgap.documents import nearest
from rctgap.equivalence import (
    answers_needed,
    fixed_sequence,
    inverted_p_value,
    items_needed,
    two_one_sided,
    verdict,
)
from rctgap.errors import EstimandError, Fault
from rctgap.estimands import Contrast, MomentKey, contrasts
from rctgap.estimates import Linear, StageEstimates, arm_sets
from rctgap.intervals import Interval, critical_value
from rctgap.posterior_quantities import NO_SPREAD, PARTLY_STILL, absent, draws_of
from rctgap.provenance import mixed_steps
from rctgap.quantities import linear, possible
from rctgap.spread_at_margin import at_margin
from rctgap.staged_records import StagedRow
from rctgap.stages import Chain

__all__ = ["StagedPlan", "staged_rows"]

NO_P_VALUE = "a posterior has no p-value: the verdict is that of its interval, without control of errors in repetition"
STOPPED = "inside its margin, but it cannot be said to hold: the sequence stopped at"
NONE_WOULD = "no number of answers would settle it at these benchmark runs: run the benchmark more often"
FEWEST_ITEMS = 6
TOO_FEW_ITEMS = f"no verdict over a population from fewer than {FEWEST_ITEMS} items: intervals were not studied there"
NO_SIZE = "no number can be given: nothing varied"
LARGE_ENOUGH = "so many would do if the true component were 0: it may lie near its margin"


@dataclass(frozen=True, slots=True)
class StagedPlan:
    """What a staged evaluation holds transitions against; chosen before the data are read.

    Attributes
    ----------
    margin : float
        Largest component, in proportions and either way, that leaves an assumption standing.
    alpha : float
        Size of each one-sided test, and of the chance that any assumption is falsely said to hold.
    margins : mapping of transition to float
        Margins of their own.
    power : float
        Chance to find that a true component of 0 holds, for the size of the next study.
    priors : mapping of assumption ID to (mean, standard deviation)
        What is believed of the components of untested assumptions.
    """

    margin: float = 0.05
    alpha: float = 0.05
    margins: Mapping[str, float] = field(default_factory=dict)
    power: float = 0.8
    priors: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, top in (
            ("margin", self.margin, 1.0),
            *((f"margins.{name}", value, 1.0) for name, value in self.margins.items()),
            ("alpha", self.alpha, 0.5),
            ("power", self.power, 1.0),
        ):
            if not 0 < value < top:
                what = f"not between 0 and {top:g}"
                raise EstimandError(
                    Fault(what, "Margins are proportions: 0.05 is 5 points", place=name, value=str(value))
                )

    def margin_of(self, transition: str) -> float:
        """The margin of the transition into a stage."""
        return self.margins.get(transition, self.margin)

    @property
    def level(self) -> float:
        """Of the intervals that verdicts rest on."""
        return 1 - 2 * self.alpha

    def require(self, chain: Chain, assumptions: Sequence[str]) -> None:
        """Refuse margins and priors of what is not there, and two priors on one component.

        Raises
        ------
        EstimandError
            Every unknown name, with the nearest known.
        """
        faults = [
            Fault(what, nearest(name, known), place=place, value=name)
            for what, place, given, known in (
                ("no transition leads to this stage", "staged.margins", self.margins, chain.names[1:]),
                ("no assumption has this ID", "staged.priors", self.priors, assumptions),
            )
            for name in given
            if name not in known
        ]
        for step in chain.transitions:
            stated = [name for name in step.assumptions if name in self.priors]
            if len(stated) > 1:
                what = f"{' and '.join(stated)} share the component of {step.to}, and each has a prior"
                faults.append(Fault(what, "State what is believed of the component once", place="staged.priors"))
        if faults:
            raise EstimandError(*faults)


def staged_rows(
    estimates: StageEstimates, plan: StagedPlan, posterior: StageEstimates | None = None
) -> tuple[StagedRow, ...]:
    """Verdicts on every transition of every arm, and of all arms together.

    Parameters
    ----------
    estimates : StageEstimates
    plan : StagedPlan
    posterior : StageEstimates, optional
        A posterior of the same estimand, for the chance that a component lies within its margin.

    Returns
    -------
    tuple of StagedRow
        Each arm is a sequence of its own: P(any false `holds`) is at most alpha in each, not over arms. `violated` is
        said of each transition by itself.

    References
    ----------
    Schuirmann (1987), doi 10.1007/BF01068419; Bretz, Maurer, Brannath and Posch (2009), doi 10.1002/sim.3495.
    """
    at_level = replace(estimates, level=plan.level)
    rows: list[StagedRow] = []
    for label, weights in arm_sets(estimates):
        steps = _steps(estimates, label, weights)
        found = linear(at_level, [one.coefficients for one in steps])
        rows += _sequence([_row(at_level, *pair, weights, plan, posterior) for pair in zip(steps, found, strict=True)])
    return tuple(rows)


def _steps(estimates: StageEstimates, label: str, weights: Mapping[str, float]) -> list[Contrast]:
    scores = estimates.scores
    return [one for one in contrasts(scores.chain, label, weights, scores.design.control) if one.kind == "component"]


def _row(
    estimates: StageEstimates,
    step: Contrast,
    found: Linear,
    weights: Mapping[str, float],
    plan: StagedPlan,
    posterior: StageEstimates | None,
) -> StagedRow:
    """One transition by itself: its place in the sequence comes later."""
    margin = plan.margin_of(step.quantity)
    tested, factor = at_margin(estimates, step.quantity, weights, margin, found)
    ends = possible(tested.interval, step.coefficients)
    changed = _system_changes(estimates, step.quantity, weights)
    notes = [
        *tested.notes,
        *((f"the system changes at {step.quantity}: not attributed to an assumption",) if changed else ()),
    ]
    notes += [NO_P_VALUE] if estimates.posterior is not None else []
    said = verdict(ends.lower if ends else None, ends.upper if ends else None, margin)
    n, needed, why = _size(estimates, step.coefficients, found, margin, plan, factor)
    few = estimates.estimand.items == "random" and n is not None and n < FEWEST_ITEMS
    if few:
        said, notes = "inconclusive", [*notes, TOO_FEW_ITEMS]
    open_still = said == "inconclusive"
    twin = None if posterior is None else _within(posterior, step.coefficients, margin)
    return StagedRow(
        arm=step.arm,
        transition=step.quantity,
        family=step.family,
        assumption_ids=";".join(step.assumptions),
        items=estimates.estimand.items,
        item_weights=estimates.estimand.item_weights_name,
        covariance=estimates.covariance_name,
        interval=ends.kind if ends else "",
        estimate=found.estimate,
        std_error=found.std_error,
        df=found.df,
        lower=ends.lower if ends else None,
        upper=ends.upper if ends else None,
        level=estimates.level,
        margin=margin,
        alpha=plan.alpha,
        verdict=said,
        p_value=None if few else _p_value(estimates, step.coefficients, found, margin, factor),
        p_adjusted=None,
        prob_within_margin=twin,
        posterior=posterior.estimator_name if posterior is not None and twin is not None else "",
        attributable=not changed,
        n=n,
        unit="items" if estimates.estimand.items == "random" else "answers",
        n_needed=needed if open_still else None,
        note="; ".join(dict.fromkeys(filter(None, (*notes, why if open_still else "")))),
    )


def _system_changes(estimates: StageEstimates, transition: str, weights: Mapping[str, float]) -> bool:
    arms = (arm for arm in estimates.scores.design.arms if weights.get(arm.label))
    return any(transition in mixed_steps(estimates.scores, arm) for arm in arms)


def _p_value(
    estimates: StageEstimates, coefficients: Mapping[MomentKey, float], found: Linear, margin: float, factor: float
) -> float | None:
    if estimates.posterior is not None or found.interval is None or found.estimate is None:
        return None
    if found.interval.kind in ("t", "normal") and found.std_error:
        df = math.inf if found.df is None else found.df
        return two_one_sided(found.estimate, factor * found.std_error, df, margin)

    def interval_at(level: float) -> Interval | None:
        return linear(replace(estimates, level=level), [coefficients])[0].interval

    p_value, drawn = inverted_p_value(interval_at, margin), estimates.bootstrap
    if p_value is None or drawn is None or estimates.intervals != "bootstrap":
        return p_value
    return max(p_value, 1 / (drawn.replicates + 1))


def _within(posterior: StageEstimates, coefficients: Mapping[MomentKey, float], margin: float) -> float | None:
    """P(within); None where the draws leave out some of the uncertainty."""
    if absent(posterior, coefficients):
        return None
    if {PARTLY_STILL, NO_SPREAD} & set(posterior_quantities.linear(posterior, [coefficients])[0].notes):
        return None
    return float((abs(draws_of(posterior, coefficients)) < margin).mean())


def _sequence(rows: Sequence[StagedRow]) -> list[StagedRow]:
    """The rows of one arm with adjusted p-values; nothing holds behind the first that does not."""
    found: list[StagedRow] = []
    stopped = ""
    for row, adjusted in zip(rows, fixed_sequence([row.p_value for row in rows]), strict=True):
        placed = replace(row, p_adjusted=adjusted)
        if stopped and row.verdict == "holds":
            placed = replace(
                placed, verdict="inconclusive", note="; ".join(filter(None, (row.note, f"{STOPPED} {stopped}")))
            )
        if not stopped and placed.verdict != "holds":
            stopped = row.transition
        found.append(placed)
    return found


def _size(
    estimates: StageEstimates,
    coefficients: Mapping[MomentKey, float],
    found: Linear,
    margin: float,
    plan: StagedPlan,
    factor: float,
) -> tuple[int | None, int | None, str]:
    """Units behind a component, how many would settle it at 0, and what to say where none would or these might have."""
    if estimates.estimand.items == "random":
        by_item = estimates.statistics.by_item
        n = None if by_item is None else by_item.multiplicity.size
        if n is None or not found.std_error:
            return n, None, NO_SIZE
        needed = items_needed(n, _spread(found, n, plan), margin, plan.alpha, plan.power)
        needed = None if needed is None else max(needed, FEWEST_ITEMS)
    elif not found.std_error:
        return found.n, None, NO_SIZE
    else:
        n, trial, fixed = _parts(estimates, coefficients, found.std_error)
        needed = answers_needed(n, factor**2 * trial, fixed, margin, plan.alpha, plan.power)
        if needed is None:
            return n, None, NONE_WOULD
    return n, needed, LARGE_ENOUGH if needed is not None and needed <= n else ""


def _spread(found: Linear, items: int, plan: StagedPlan) -> float:
    """The standard error, or the one that a widened interval stands for."""
    error, ends = found.std_error or 0.0, found.interval
    if ends is None or items < 2:  # noqa: PLR2004 - a spread needs two
        return error
    return max(error, (ends.upper - ends.lower) / 2 / critical_value(plan.level, items - 1))


def _parts(
    estimates: StageEstimates, coefficients: Mapping[MomentKey, float], std_error: float
) -> tuple[int, float, float]:
    """Answers behind a component, the variance they bring, and that of the benchmark's runs."""
    first = estimates.scores.chain.stages[0]
    runs = first.name if first.source == "benchmark" else ""
    (own,) = linear(estimates, [{key: weight for key, weight in coefficients.items() if key.name != runs}])
    trial = std_error**2 if own.std_error is None else own.std_error**2
    return own.n, trial, max(std_error**2 - trial, 0.0)
