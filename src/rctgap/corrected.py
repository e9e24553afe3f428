"""Components from stage means that are corrected for their scorers' error rates, beside the uncorrected ones."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from rctgap.error_rates import ErrorRates
from rctgap.errors import EstimationError
from rctgap.estimands import Contrast, MomentKey, contrasts
from rctgap.estimates import Linear, StageEstimates, arm_sets
from rctgap.frequentist import covariance_of
from rctgap.inference import linear
from rctgap.intervals import symmetric
from rctgap.records import ComponentRow
from rctgap.rogan_gladen import Corrected, corrected_means
from rctgap.rows import component_rows

__all__ = ["ESTIMATOR", "corrected_rows"]

ESTIMATOR = "Rogan-Gladen"
NOTHING_CORRECTED = "no stage of it has error rates"
NO_INTERVAL = "No interval: a stage at 0 or 100 % has no variance to carry through the correction."


def corrected_rows(estimates: StageEstimates) -> Iterator[ComponentRow]:
    """Components, families, gap and effects from corrected stage means; nothing where no error rates are known.

    Parameters
    ----------
    estimates : StageEstimates
        Of scores as they came, with the error rates of their scorers.

    Yields
    ------
    ComponentRow
        With `estimator` Rogan-Gladen and `scores` corrected. Flows are not corrected and left out. The interval is t
        with the degrees of freedom of the uncorrected quantity; there is none where a stage at 0 or 100 % has no
        variance to carry through. A quantity without a corrected stage keeps its own interval.

    Notes
    -----
    The variance is the delta method's, with the uncertainty of sensitivity and specificity, which stages that share a
    scorer share. That errors are the same in every arm, item and stage is assumed and cannot be seen here.

    References
    ----------
    Rogan and Gladen (1978), doi 10.1093/oxfordjournals.aje.a112510.
    """
    rates = estimates.scores.error_rates
    if not rates or estimates.posterior is not None:
        return
    stages, missing = set(estimates.scores.chain.names), estimates.statistics.missing
    keys = [key for key in estimates.statistics.moments if key.name in stages and key not in missing]
    found = _means(estimates, keys, rates)
    plain = {(row.arm, row.quantity): row for row in component_rows(estimates)}
    for label, weights in arm_sets(estimates):
        for contrast in contrasts(estimates.scores.chain, label, weights, estimates.scores.design.control):
            row = plain[label, contrast.quantity]
            if contrast.quantity != "item_mix" and row.estimate is not None:
                yield _row(estimates, contrast, row, keys, found)


def _means(estimates: StageEstimates, keys: list[MomentKey], rates: Mapping[str, ErrorRates]) -> Corrected | str:
    rows = np.array([estimates.row({key: 1.0}) for key in keys])
    values = np.array([estimates.value(key) for key in keys])
    names = [f"{key.name} in arm {key.arm}" for key in keys]
    try:
        return corrected_means(
            values, covariance_of(estimates, rows).matrix, [rates.get(key.name) for key in keys], names
        )
    except EstimationError as error:
        return error.reason


def _row(
    estimates: StageEstimates,
    contrast: Contrast,
    plain: ComponentRow,
    keys: list[MomentKey],
    found: Corrected | str,
) -> ComponentRow:
    bare = replace(
        plain,
        estimator=ESTIMATOR,
        scores="corrected",
        share_of_gap=None,
        lost=None,
        gained=None,
        lost_count=None,
        gained_count=None,
        simultaneous_lower=None,
        simultaneous_upper=None,
    )
    rated = [key.name for key in contrast.coefficients if key.name in estimates.scores.error_rates]
    if not rated:
        return replace(bare, note="; ".join(part for part in (plain.note, NOTHING_CORRECTED) if part))
    if isinstance(found, str):
        return replace(bare, estimate=None, std_error=None, df=None, lower=None, upper=None, interval="", note=found)
    weights = np.array([contrast.coefficients.get(key, 0.0) for key in keys])
    value = float(weights @ found.means)
    error = math.sqrt(max(float(weights @ found.covariance @ weights), 0.0))
    uncorrected: Linear = linear(estimates, [contrast.coefficients])[0]
    df = math.inf if uncorrected.df is None else uncorrected.df
    ends = symmetric(value, error, df, estimates.level)
    touched = {name for key in contrast.coefficients for name in [f"{key.name} in arm {key.arm}"]}
    notes = [found.notes[0], *(note for note in found.notes[1:] if any(name in note for name in touched))]
    raw = [name for name in dict.fromkeys(key.name for key in contrast.coefficients) if name not in rated]
    notes += [f"Not corrected here: {', '.join(raw)}."] if raw else []
    still = uncorrected.interval is None or uncorrected.interval.kind not in ("t", "normal") or not error
    notes += [NO_INTERVAL] if still else []
    return replace(
        bare,
        estimate=value,
        std_error=None if still else error,
        df=None if still else uncorrected.df,
        lower=None if still else ends.lower,
        upper=None if still else ends.upper,
        interval="" if still else ends.kind,
        note=" ".join(notes),
    )
