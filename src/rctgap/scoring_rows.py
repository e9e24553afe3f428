"""How texts became scores, as rows: what scorers said, how they agree with people, what labels changed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from rctgap.agreement import rater_agreement, scorer_agreement
from rctgap.chance_agreement import Agreement
from rctgap.error_rates import ErrorRates
from rctgap.gold import Rectification, case_of, participants_of
from rctgap.intervals import Interval, wilson
from rctgap.labelling import one_label_each
from rctgap.rectification import ArmMean, arm_means
from rctgap.scoring import ScoredText
from rctgap.scoring_records import ScoringRow
from rctgap.trial import TrialData

__all__ = ["agreement_rows", "completeness_rows", "rate_rows", "rectification_rows", "said_rows"]

RATERS = 2
DENIED = "texts with a denied hit"


def said_rows(texts: Sequence[ScoredText], scorers: Mapping[str, str]) -> Iterator[ScoringRow]:
    """Texts and means by stage and arm; over all arms, how many hits are denied and what scorers remarked."""
    groups: dict[tuple[str, str], list[ScoredText]] = {}
    for one in texts:
        groups.setdefault((one.stage, one.arm), []).append(one)
    for (stage, arm), mine in groups.items():
        values = [one.score.value for one in mine if one.score.value is not None]
        yield ScoringRow(stage, arm, scorers[stage], "texts", None, None, None, None, len(mine))
        if values:
            yield ScoringRow(
                stage, arm, scorers[stage], "mean score", float(np.mean(values)), None, None, None, len(values)
            )
    for stage in dict.fromkeys(one.stage for one in texts):
        mine = [one for one in texts if one.stage == stage]
        counted = {DENIED: sum(any(found.negated for found in one.score.evidence) for one in mine)}
        notes = Counter(one.score.note for one in mine if one.score.note)
        counted |= {f"note: {note}": count for note, count in sorted(notes.items())}
        for name, count in counted.items():
            yield ScoringRow(stage, "", scorers[stage], name, None, None, None, None, count)


def rate_rows(rates: Mapping[str, ErrorRates], level: float) -> Iterator[ScoringRow]:
    """Error rates that are declared, with Wilson's intervals."""
    for stage, one in rates.items():
        for name, value, size in (
            ("sensitivity", one.sensitivity, one.hits + one.misses),
            ("specificity", one.specificity, one.correct_rejections + one.false_alarms),
        ):
            ends = wilson(value, size, level)
            yield ScoringRow(stage, "", one.scorer, name, value, ends.lower, ends.upper, level, round(size))


def agreement_rows(labels: pd.DataFrame, scorers: Mapping[str, str], level: float) -> Iterator[ScoringRow]:
    """Agreement of scorers with people, by stage and by stage and arm, and of raters with each other, by stage."""
    first = labels.drop_duplicates(["case", "stage"])[["case", "stage", "arm", "participant", "automatic"]]
    one = one_label_each(labels).merge(first, on=["case", "stage"])
    for frame in (one.assign(arm=""), one):
        for (stage, arm), mine in frame.groupby(["stage", "arm"]):
            found = scorer_agreement(
                mine["automatic"].to_numpy(dtype=np.float64),
                mine["label"].to_numpy(dtype=np.float64),
                mine["participant"].to_numpy(dtype=np.str_),
                weight=1 / mine["label_probability"].to_numpy(dtype=np.float64),
                level=level,
            )
            yield from (_agreed(str(stage), str(arm), scorers[str(stage)], row, level) for row in found)
    for stage, mine in labels.groupby("stage", sort=False):
        wide = mine.pivot_table(index=["case", "participant"], columns="rater", values="label")
        if wide.shape[1] >= RATERS:
            people = wide.index.get_level_values("participant").to_numpy(dtype=np.str_)
            for row in rater_agreement(wide.to_numpy(dtype=np.float64), people, level=level):
                yield _agreed(str(stage), "", "raters", row, level)


def _agreed(stage: str, arm: str, scorer: str, row: Agreement, level: float) -> ScoringRow:
    value = None if np.isnan(row.estimate) else row.estimate
    return _row(stage, arm, scorer, row.measure, value, row.interval, level, row.cases, row.note)


def rectification_rows(found: Sequence[Rectification], level: float) -> Iterator[ScoringRow]:
    """Means of automatic scores, of labels alone and of pseudo-scores, by arm, and what the automatic ones count."""
    for one in found:
        yield ScoringRow(
            one.stage, "", one.scorer, "lambda", one.lam, None, None, None, round(one.n_labelled), one.note
        )
        for name, means in (("automatic", one.automatic), ("labels alone", one.labels), ("rectified", one.both)):
            yield from (_mean(one, name, mean, level) for mean in means)


def _mean(one: Rectification, name: str, mean: ArmMean, level: float) -> ScoringRow:
    return _row(one.stage, mean.arm, one.scorer, name, mean.estimate, mean.interval, level, mean.rows, "")


def _row(
    stage: str,
    arm: str,
    scorer: str,
    quantity: str,
    value: float | None,
    ends: Interval | None,
    level: float,
    n: int,
    note: str,
) -> ScoringRow:
    lower, upper = (None, None) if ends is None else (ends.lower, ends.upper)
    return ScoringRow(stage, arm, scorer, quantity, value, lower, upper, None if ends is None else level, n, note)


def completeness_rows(texts: Sequence[ScoredText], trial: TrialData, level: float) -> Iterator[ScoringRow]:
    """What share of the key facts people's messages carry, by scope and arm, with intervals by participant."""
    people = participants_of(trial)
    for name in dict.fromkeys(one.stage for one in texts):
        mine = [one for one in texts if one.stage == name and one.score.value is not None]
        if not mine:
            continue
        values = np.array([one.score.value for one in mine], dtype=np.float64)
        whole = float(np.mean(values == 1.0))
        who = np.array([people.get(case_of(one), case_of(one)) for one in mine])
        arms = np.array([one.arm for one in mine])
        for mean in arm_means(values, arms, who, np.ones(values.size), level):
            yield _row("", mean.arm, "key_facts", name, mean.estimate, mean.interval, level, mean.rows, "")
        told = f"{100 * whole:.1f} % of messages carry every key fact"
        yield ScoringRow("", "", "key_facts", name, float(values.mean()), None, None, None, values.size, told)
