"""Whether arms lose different shares of their answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

from rctgap.records import AttritionRow, CheckResult
from rctgap.results import GapDecomposition

__all__ = ["differential_attrition"]

ALPHA = 0.01
FEW = 5.0
RULE = f"The rule: a warning at p < {ALPHA:g}, adjusted by Holm, answers counted as people"


NOT_ATTRITION = ("benchmark runs", "empty log")


@dataclass(frozen=True, slots=True)
class _Counts:
    """Answers that entered and left a step, by arm."""

    reason: str
    answers: Mapping[str, tuple[int, int]]
    each: float


@dataclass(frozen=True, slots=True)
class _Loss:
    """One reason for loss: answers kept and lost by arm, and the test that arms lose the same share."""

    reason: str
    kept: Mapping[str, int]
    lost: Mapping[str, int]
    p_value: float


def differential_attrition(result: GapDecomposition) -> CheckResult:
    """Warn where a step of the attrition table loses different shares of the arms, by chi-square or Fisher's test.

    People who never wrote to the system are kept by the choice for non-users, and are no loss.
    """
    found = [loss for one in _by_reason(result) if (loss := _tested(one)) is not None]
    if not found:
        detail = "No step loses answers of several arms that could be compared."
        return CheckResult("differential_attrition", "not_applicable", "", detail)
    adjusted = multipletests([one.p_value for one in found], method="holm")[1]
    apart = [one.reason for one, value in zip(found, adjusted, strict=True) if value < ALPHA]
    told = "; ".join(_told(one, float(value)) for one, value in zip(found, adjusted, strict=True))
    beyond = f" Different: {', '.join(apart)}." if apart else ""
    detail = f"Answers lost by arm: {told}.{beyond} {RULE}."
    return CheckResult("differential_attrition", "warning" if apart else "pass", "", detail)


def _by_reason(result: GapDecomposition) -> Iterator[_Counts]:
    """Answers in and out by arm, for each step and reason; an arm without a row of its own lost none."""
    groups: dict[tuple[str, str], dict[str, AttritionRow]] = {}
    for row in result.attrition:
        if row.step != "arms" and not row.reason.startswith(NOT_ATTRITION):
            groups.setdefault((row.step, row.reason), {})[row.arm] = row
    sizes, each = _sizes(result), _answers_each(result)
    for (step, reason), rows in groups.items():
        counts = {arm: _counts(rows.get(arm), sizes.get(arm, 0)) for arm in _due(result, step, reason)}
        yield _Counts(reason, {arm: pair for arm, pair in counts.items() if pair[0]}, each)


def _due(result: GapDecomposition, step: str, reason: str) -> tuple[str, ...]:
    """Arms that a step could take answers from: logs and task stages are of AI arms alone."""
    chosen, last = result.settings, result.settings.stages[-1]
    everyone = step not in ("logs", "score") or reason.endswith(f" {last}")
    arms = (*chosen.arms, chosen.control) if everyone and chosen.control else chosen.arms
    design = None if result.estimates is None else result.estimates.scores.design
    elsewhere = {
        arm.label
        for arm in (design.arms if design else ())
        for loan in arm.borrowed
        if reason.endswith(f" {loan.stage}")
    }
    return tuple(arm for arm in arms if arm not in elsewhere)


def _sizes(result: GapDecomposition) -> Mapping[str, int]:
    if result.estimates is None:
        return {}
    size = result.estimates.scores.answers.groupby("arm", observed=True)["count"].sum()
    return {str(arm): round(float(count)) for arm, count in size.items()}


def _answers_each(result: GapDecomposition) -> float:
    """Answers of a participant on average: people may be lost as a whole, so each counts once."""
    people = result.settings.n_participants
    return 1.0 if not people else max(1.0, result.settings.n_answers / people)


def _counts(row: AttritionRow | None, size: int) -> tuple[int, int]:
    return (size, size) if row is None else (row.n_in or 0, row.n_out or 0)


def _tested(one: _Counts) -> _Loss | None:
    """The test of one reason, counted in people; None where one arm alone is concerned or nothing is lost."""
    kept = {arm: left for arm, (_, left) in one.answers.items()}
    lost = {arm: entered - left for arm, (entered, left) in one.answers.items()}
    if len(kept) < 2 or not any(lost.values()) or not any(kept.values()):  # noqa: PLR2004 - a comparison needs two
        return None
    people = [np.rint(np.array(list(kept.values())) / one.each), np.ceil(np.array(list(lost.values())) / one.each)]
    table = np.array(people).astype(np.int64)
    if not table.sum(axis=0).all():
        return None
    expected = stats.contingency.expected_freq(table)
    if expected.min() < FEW:
        p_value = stats.fisher_exact(table).pvalue if table.shape[1] == 2 else _permuted(table)  # noqa: PLR2004
    else:
        p_value = stats.chi2_contingency(table).pvalue
    return _Loss(one.reason, kept, lost, float(p_value))


def _permuted(table: "np.ndarray[tuple[int, int], np.dtype[np.int64]]") -> float:
    """Chi-square without its large-sample reference, where expected counts are small and arms are several."""
    method = stats.MonteCarloMethod(n_resamples=9999, rng=np.random.default_rng(1))
    return float(stats.chi2_contingency(table, correction=False, method=method).pvalue)


def _told(one: _Loss, adjusted: float) -> str:
    parts = ", ".join(f"{arm} {100 * one.lost[arm] / (one.lost[arm] + one.kept[arm]):.1f} %" for arm in one.kept)
    return f"{one.reason}: {parts} (p {adjusted:.3f})"
