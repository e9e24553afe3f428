"""Whether a participant's first answers and the later ones tell the same story."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import statsmodels.api as sm
from statsmodels.stats.multitest import multipletests

from rctgap.check_context import CheckContext
from rctgap.records import CheckResult
from rctgap.results import GapDecomposition
from rctgap.scores import StageScores
from rctgap.tables import interval, points
from rctgap.trial import counts

__all__ = ["answer_position"]

ALPHA = 0.01
FEWEST = 10
NO_POSITION = "No column of the trial has the role position: which answer of a participant came first is not known."
RULE = f"The rule: a warning at p < {ALPHA:g}, adjusted by Holm"

type Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Difference:
    """How much a quantity is larger among later answers than among first ones."""

    quantity: str
    estimate: float
    lower: float
    upper: float
    p_value: float
    assumptions: tuple[str, ...] = ()


def answer_position(result: GapDecomposition) -> CheckResult:
    """Warn where a component or the realized effect differs between first and later answers of participants."""
    estimates, context = result.estimates, result.context
    found: list[_Difference] = []
    if estimates is not None and context is not None and context.trial.table.by_role("position"):
        found = list(_differences(estimates.scores, context, result.settings.level))
    if not found:
        return CheckResult("answer_position", "not_applicable", "", NO_POSITION)
    adjusted = multipletests([one.p_value for one in found], method="holm")[1]
    apart = [one for one, value in zip(found, adjusted, strict=True) if value < ALPHA]
    told = "; ".join(_told(one, float(value)) for one, value in zip(found, adjusted, strict=True))
    beyond = f" Different: {', '.join(one.quantity for one in apart)}." if apart else ""
    ids = ";".join(dict.fromkeys(name for one in apart for name in one.assumptions))
    detail = f"Later answers less first ones, in points, all AI arms: {told}.{beyond} {RULE}."
    return CheckResult("answer_position", "warning" if apart else "pass", ids, detail)


def _told(one: _Difference, adjusted: float) -> str:
    return f"{one.quantity} {points(one.estimate)} ({interval(one.lower, one.upper)}, p {adjusted:.3f})"


def _differences(scores: StageScores, context: CheckContext, level: float) -> Iterator[_Difference]:
    trial, chain = context.trial, scores.chain
    frame, arm = trial.answers, trial.column("arm") or "arm"
    place, person = trial.column("position") or "", trial.column("participant")
    frame = frame.assign(_size=counts(frame, trial.table), _later=frame[place].astype("float64") > frame[place].min())
    labels = [one.label for one in scores.design.arms]
    treated = frame[frame[arm].isin(labels) & frame[place].notna()]
    for start, to, step in chain.steps:
        if start.source != "benchmark" and {start.column, to.column} <= set(frame.columns):
            lost = treated[start.column].astype("float64") - treated[to.column].astype("float64")
            found = _fitted(to.name, treated.assign(_value=lost), arm, person, level, treated_only=True)
            if found is not None:
                yield _with(found, step.assumptions)
    control, last = scores.design.control, chain[chain.last].column
    if control is not None and last in frame:
        rows = frame[frame[arm].isin([*labels, control]) & frame[place].notna()]
        rows = rows.assign(_value=rows[last].astype("float64"), _ai=(rows[arm] != control).astype(float))
        effect = (
            _fitted("realized_effect", rows, arm, person, level, treated_only=False) if _positions_vary(rows) else None
        )
        if effect is not None:
            yield effect


def _positions_vary(rows: pd.DataFrame) -> bool:
    """Whether control and AI arms each have enough first and later answers to compare effects."""
    sizes = pd.crosstab(rows["_ai"], rows["_later"]).reindex(index=[0.0, 1.0], columns=[False, True], fill_value=0)
    return bool((sizes.to_numpy() >= FEWEST).all())


def _with(found: _Difference, assumptions: tuple[str, ...]) -> _Difference:
    return _Difference(found.quantity, found.estimate, found.lower, found.upper, found.p_value, assumptions)


def _fitted(
    quantity: str, rows: pd.DataFrame, arm: str, person: str | None, level: float, *, treated_only: bool
) -> _Difference | None:
    """The coefficient of later answers, or of later answers in AI arms, with participants as clusters."""
    mine = rows[rows["_value"].notna()]
    later = mine["_later"].to_numpy(dtype=np.float64)
    if min(later.sum(), (1 - later).sum()) < FEWEST:
        return None
    own = np.asarray(pd.get_dummies(mine[arm].astype(str), dtype=float).to_numpy(), dtype=np.float64)
    wanted = later if treated_only else later * mine["_ai"].to_numpy(dtype=np.float64)
    rest = [] if treated_only else [later]
    design = np.column_stack([wanted, *rest, own])
    model = sm.WLS(mine["_value"].to_numpy(dtype=np.float64), design, weights=mine["_size"].to_numpy(dtype=np.float64))
    if person is None or bool(mine[person].isna().any()):
        fit = model.fit(cov_type="HC1")
    else:
        fit = model.fit(cov_type="cluster", cov_kwds={"groups": pd.factorize(mine[person])[0]}, use_t=True)
    if not fit.bse[0] > 0:
        return None
    low, high = fit.conf_int(alpha=1 - level)[0]
    return _Difference(quantity, float(fit.params[0]), float(low), float(high), float(fit.pvalues[0]))
