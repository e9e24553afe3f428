"""Synthesis over trials: components, shares and effects of several results side by side, and pooled."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib import metadata
from pathlib import Path

from rctgap.comparable import Candidate, common_estimand, read_candidates, refuse_to_pool, refuse_to_show
from rctgap.errors import AnalysisError, Fault
from rctgap.estimands import ALL_ARMS
from rctgap.intervals import critical_value, symmetric
from rctgap.pooling import PoolingPrior, hierarchical, random_effects
from rctgap.records import ComponentRow, ShareRow
from rctgap.report.synthesis import write_synthesis_report
from rctgap.result_folders import SYNTHESIS, SYNTHESIS_SCHEMA, replacing
from rctgap.rows import LOST_MINUS_GAINED, NO_BAND
from rctgap.strict_json import write_json
from rctgap.synthesis_records import (
    HARTUNG_KNAPP,
    HIERARCHICAL,
    SHRUNKEN,
    TRIAL,
    ComparedTrial,
    Synthesis,
    SynthesisRow,
)
from rctgap.synthesis_warnings import synthesis_warnings

__all__ = ["compare", "write_synthesis"]

KINDS = ("component", "family", "gap", "effect")
LEFT_ASIDE = ("item_mix",)
SMALLEST = 1e-9
PLAIN = ("t", "normal", "equal_tailed", "hdi", "max-t")
OF_THE_ROW = ("no flows: ", LOST_MINUS_GAINED, NO_BAND)
FEWEST = 2


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to pool."""

    level: float
    margin: float
    prior: PoolingPrior
    effects: bool


def compare(
    folders: Sequence[Path | str],
    *,
    arm: str = ALL_ARMS,
    level: float = 0.95,
    margin: float = 0.05,
    prior: PoolingPrior | None = None,
    side_by_side: bool = False,
    effects: bool = True,
    allow_not_final: bool = False,
) -> Synthesis:
    """Lay results of several trials side by side and pool what they have in common.

    Parameters
    ----------
    folders : sequence of path
        Result folders; of a folder of several results, every one.
    arm : str
        `all`, the mean over a trial's AI arms as its estimand weights them, or one arm's label in every result.
    level : float
        Of the pooled intervals; a result at another level has its intervals made again from its standard errors.
    margin : float
        A proportion, for P(abs(mean) < margin).
    prior : PoolingPrior, optional
    side_by_side : bool
        Show without pooling.
    effects : bool
        Whether effects, which need a control arm in every trial, are pooled.
    allow_not_final : bool
        Take results that a check forbids calling final; it is said in the warnings.

    Returns
    -------
    Synthesis
        One result alone is shown, not pooled.

    Raises
    ------
    EstimandError
        The estimands differ, or results share a trial's data.
    AnalysisError
        No such arm, a result given twice, one that is not final, or a level or margin that is none.
    OutputError
        A folder holds no result, or a damaged one.

    Notes
    -----
    A trial's standard error enters pooling as the larger of the one in its row and the one that its interval's width
    stands for, so that intervals widened for a boundary or for few items keep their width. Shares enter with their
    delta-method standard error, and only where Fieller's set is bounded.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from pathlib import Path
    >>> import rctgap as rg
    >>> from rctgap.synthesis import compare
    >>> place, estimand = Path(tempfile.mkdtemp()), rg.Estimand(items="fixed")
    >>> stages = [rg.Stage("conversation"), rg.Stage("decision")]
    >>> for name, counts in {"one": [30, 40, 30], "two": [20, 45, 35], "three": [35, 40, 25]}.items():
    ...     rows = {"arm": "a1", "conversation": [1, 1, 0], "decision": [1, 0, 0], "count": counts}
    ...     scores = rg.score_stages(rg.read_trial(pd.DataFrame(rows), design=rg.Design(ai=["a1"])), stages)
    ...     folder = rg.save(rg.decompose(rg.estimate_frequentist(scores, estimand), estimand), place / name)
    >>> together = compare([place / "one", place / "two", place / "three"])
    >>> gap = together.found("gap", "gap", "hartung-knapp")
    >>> gap.k, round(gap.estimate, 3), round(gap.lower, 3), round(gap.upper, 3)
    (3, 0.416, 0.293, 0.539)
    """
    plan = _Plan(_between(level, "--level"), _between(margin, "--margin"), prior or PoolingPrior(), effects)
    candidates = read_candidates(folders)
    refuse_to_show(candidates, arm, allow_not_final=allow_not_final)
    pooled = not side_by_side and len(candidates) >= FEWEST
    if pooled:
        refuse_to_pool(candidates, arm, effects=effects)
    rows = tuple(_trial_rows(candidates, arm, plan))
    together, left_out = _pooled_rows(rows, plan) if pooled else ((), ())
    result = Synthesis(
        arm=arm,
        level=plan.level,
        margin=plan.margin,
        mu_sd=plan.prior.mu_sd,
        tau_scale=plan.prior.tau_scale,
        pooled=pooled,
        trials=tuple(_facts(one) for one in candidates),
        rows=(*_weighted(rows, together), *together),
        estimand=common_estimand(candidates, arm, effects=effects),
        left_out=left_out,
        warnings=(),
    )
    return replace(result, warnings=synthesis_warnings(result, candidates))


def _weighted(rows: Sequence[SynthesisRow], together: Sequence[SynthesisRow]) -> Iterator[SynthesisRow]:
    """The trials' rows with their weights in the pooled mean."""
    weights = {(row.quantity, row.kind, row.trial): row.weight for row in together if row.method == SHRUNKEN}
    for row in rows:
        yield replace(row, weight=weights.get((row.quantity, row.kind, row.trial)))


def _between(value: float, option: str) -> float:
    if not 0.0 < value < 1.0:
        raise AnalysisError(
            Fault("not a proportion between 0 and 1", "For example 0.95, or 0.05", place=option, value=f"{value:g}")
        )
    return value


def _facts(one: Candidate) -> ComparedTrial:
    settings = one.result.settings
    return ComparedTrial(
        one.name,
        one.result.title,
        settings.arms,
        settings.n_answers,
        settings.n_participants,
        settings.n_items,
        settings.level,
        settings.method,
        one.result.final,
        one.sha256,
        one.files("trial"),
    )


def _trial_rows(candidates: Sequence[Candidate], arm: str, plan: _Plan) -> Iterator[SynthesisRow]:
    """Every quantity of every trial, and each component's and family's share of the gap."""
    shown = {one.name: {row.quantity: row for row in one.rows(arm) if _is_shown(row)} for one in candidates}
    for quantity, kind in dict.fromkeys((row.quantity, row.kind) for rows in shown.values() for row in rows.values()):
        for name, rows in shown.items():
            yield _trial_row(name, quantity, kind, rows.get(quantity), plan)
    for quantity in dict.fromkeys(row.quantity for one in candidates for row in _share_rows(one, arm)):
        for one in candidates:
            yield _share_row(one, arm, quantity, plan)


def _is_shown(row: ComponentRow) -> bool:
    return row.kind in KINDS and row.quantity not in LEFT_ASIDE


def _trial_row(name: str, quantity: str, kind: str, row: ComponentRow | None, plan: _Plan) -> SynthesisRow:
    blank = SynthesisRow(quantity, kind, TRIAL, name, None, None, None, None, None, plan.level)
    if row is None:
        return replace(blank, note="this result has no such quantity")
    note = "; ".join(one for one in row.note.split("; ") if not one.startswith(OF_THE_ROW))
    blank = replace(blank, assumption_ids=row.assumption_ids, estimate=row.estimate, note=note)
    if row.estimate is None or row.lower is None or row.upper is None or row.std_error is None:
        return replace(blank, lower=row.lower, upper=row.upper, level=row.level, std_error=row.std_error)
    std_error = _standing_for(row, row.lower, row.upper)
    found = replace(blank, std_error=std_error, df=row.df, lower=row.lower, upper=row.upper)
    if std_error > row.std_error * (1 + SMALLEST):
        found = replace(found, note=_joined(f"standard error from the width of its {row.interval} interval", note))
    return found if row.level == plan.level else _at_level(found, row.level, plan.level)


def _standing_for(row: ComponentRow, lower: float, upper: float) -> float:
    """The standard error that pooling may use: no smaller than the width of the interval says."""
    own = float(row.std_error or 0.0)
    if row.interval in PLAIN or own <= SMALLEST:
        return own
    return max(own, (upper - lower) / 2 / critical_value(row.level, math.inf if row.df is None else row.df))


def _at_level(row: SynthesisRow, old: float, new: float) -> SynthesisRow:
    """The interval at another level, from estimate and standard error."""
    ends = symmetric(row.estimate or 0.0, row.std_error or 0.0, math.inf if row.df is None else row.df, new)
    note = _joined(f"interval made again at {100 * new:g} % (the result has {100 * old:g} %)", row.note)
    return replace(row, lower=ends.lower, upper=ends.upper, note=note)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _share_rows(one: Candidate, arm: str) -> tuple[ShareRow, ...]:
    """Shares of the main rows' estimand and estimator."""
    gap = one.result.row("gap", arm)
    asked = (arm, gap.items, gap.item_weights, gap.estimator)
    return tuple(row for row in one.result.shares if (row.arm, row.items, row.item_weights, row.estimator) == asked)


def _share_row(one: Candidate, arm: str, quantity: str, plan: _Plan) -> SynthesisRow:
    """A share with its delta-method standard error, shown with Fieller's set; blank where that is not bounded."""
    mine = [row for row in _share_rows(one, arm) if row.quantity == quantity]
    blank = SynthesisRow(quantity, "share", TRIAL, one.name, None, None, None, None, None, plan.level)
    whole = next((row for row in mine if row.method != "delta"), None)
    if whole is None:
        return replace(blank, note="this result has no such share")
    if whole.set_type != "bounded":
        kind = whole.set_type or "not defined"
        return replace(blank, note=_joined(f"the confidence set of the share is {kind}", whole.note))
    found = replace(blank, estimate=whole.estimate, lower=whole.lower, upper=whole.upper, note=whole.note)
    delta = next((row for row in mine if row.method == "delta"), None)
    if delta is None or delta.lower is None or delta.upper is None:
        return replace(found, level=whole.level, note=_joined("no delta-method standard error", whole.note))
    df = one.result.row("gap", arm).df
    critical = critical_value(delta.level, math.inf if df is None else df)
    found = replace(found, std_error=(delta.upper - delta.lower) / 2 / critical, df=df)
    return found if whole.level == plan.level else _at_level(found, whole.level, plan.level)


def _pooled_rows(rows: Sequence[SynthesisRow], plan: _Plan) -> tuple[tuple[SynthesisRow, ...], tuple[str, ...]]:
    """The pooled rows of every quantity, and who was left out of which, and why."""
    grouped: dict[tuple[str, str], list[SynthesisRow]] = {}
    for row in rows:
        if plan.effects or row.kind != "effect":
            grouped.setdefault((row.quantity, row.kind), []).append(row)
    pooled: list[SynthesisRow] = []
    told: list[str] = []
    for (quantity, kind), trials in grouped.items():
        usable = [row for row in trials if _reason(row) is None]
        name = f"share of {quantity}" if kind == "share" else quantity
        told += [f"{name}: {row.trial} is left out, {why}" for row in trials if (why := _reason(row)) is not None]
        if len(usable) >= FEWEST:
            pooled += _pool(usable, plan)
        else:
            told.append(f"{name}: not pooled, {len(usable)} of {len(trials)} trials can be used")
    return tuple(pooled), tuple(told)


def _reason(row: SynthesisRow) -> str | None:
    """Why a trial's row cannot be pooled; None where it can."""
    if row.estimate is None:
        return row.note or "it has no estimate"
    if row.std_error is None or row.lower is None:
        return f"it has no standard error or no interval{f' ({row.note})' if row.note else ''}"
    return "its standard error is 0" if row.std_error <= SMALLEST else None


def _pool(trials: Sequence[SynthesisRow], plan: _Plan) -> Iterator[SynthesisRow]:
    """One quantity pooled both ways, and each trial's true value as the hierarchical model has it."""
    estimates, errors = [row.estimate or 0.0 for row in trials], [row.std_error or 0.0 for row in trials]
    first = trials[0]
    blank = replace(first, trial="", df=None, note="", k=len(trials), level=plan.level)
    one = random_effects(estimates, errors, plan.level)
    shared = ("estimate", "std_error", "df", "lower", "upper", "tau", "tau_lower", "tau_upper", "i2", "q", "q_p")
    ahead = ("prediction_lower", "prediction_upper")
    note = "no prediction interval from two trials" if one.prediction_lower is None else ""
    agree = "the estimates agree too closely for an interval of tau" if one.tau_upper is None else ""
    yield replace(
        blank,
        method=HARTUNG_KNAPP,
        note=_joined(note, agree),
        **{name: getattr(one, name) for name in (*shared, *ahead)},
    )
    other = hierarchical(estimates, errors, plan.level, plan.margin, plan.prior)
    same = (
        "estimate",
        "lower",
        "upper",
        "tau",
        "tau_lower",
        "tau_upper",
        "prob_positive",
        "margin",
        "prob_within_margin",
    )
    known = {name: getattr(other, name) for name in (*same, *ahead)}
    if first.kind == "share":
        known |= {"margin": None, "prob_within_margin": None}
    yield replace(blank, method=HIERARCHICAL, std_error=other.std_dev, **known)
    for row, weight, true in zip(trials, one.weights, other.trials, strict=True):
        yield replace(
            blank,
            method=SHRUNKEN,
            trial=row.trial,
            estimate=true.estimate,
            std_error=true.std_dev,
            lower=true.lower,
            upper=true.upper,
            weight=weight,
        )


def write_synthesis(synthesis: Synthesis, folder: Path | str) -> Path:
    """Write synthesis.csv, synthesis.json, report.html, report.md and figures/ into a folder of their own.

    Raises
    ------
    OutputError
        The folder holds something that rctgap did not write, or cannot be written.
    """
    with replacing(folder, "synthesis") as place:
        _write_csv(place / "synthesis.csv", synthesis.rows)
        write_json(place / SYNTHESIS, _document(synthesis))
        write_synthesis_report(synthesis, place)
    return Path(folder)


def _write_csv(path: Path, rows: Sequence[SynthesisRow]) -> None:
    names = [one.name for one in fields(SynthesisRow)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(["" if getattr(row, name) is None else getattr(row, name) for name in names] for row in rows)


def _document(synthesis: Synthesis) -> Mapping[str, object]:
    versions = {name: metadata.version(name) for name in ("rctgap", "numpy", "scipy")}
    return {"schema": SYNTHESIS_SCHEMA, **asdict(synthesis), "versions": versions}
