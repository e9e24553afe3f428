"""A step's interval with the spread that its answers would have at the margin, where they vary less than that."""

import math
from collections.abc import Mapping

import pandas as pd

from rctgap.estimates import Linear, StageEstimates
from rctgap.intervals import symmetric

__all__ = ["AT_MARGIN", "at_margin"]

AT_MARGIN = "answers would vary more at the margin than they do: the interval has that spread"


def at_margin(
    estimates: StageEstimates, transition: str, weights: Mapping[str, float], margin: float, found: Linear
) -> tuple[Linear, float]:
    """The component with its interval widened where scores of 0 and 1 would vary more at the margin, and the factor.

    A standard error from what was seen is small because little was lost, and a test of loss with it errs too often.
    Between two stages of an answer, a mean change of `margin` takes changes in at least that share of the answers, so
    a variance of at least margin (1 - margin). After the benchmark, answers have the variance of a score whose mean
    lies at the margin. The score tests below correct the same; this form needs neither one item nor independent
    answers.

    Parameters
    ----------
    estimates : StageEstimates
        Frequentist.
    transition : str
        The stage that the step enters.
    weights : mapping of arm to float
    margin : float
        In proportions.
    found : Linear
        The component.

    Returns
    -------
    Linear, float
        Unchanged and 1 where intervals are not t or normal, items are random, or scores are not 0 and 1.

    References
    ----------
    Farrington and Manning (1990), doi 10.1002/sim.4780091208; Tango (1998),
    doi 10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B.
    """
    ends, error, estimate = found.interval, found.std_error, found.estimate
    if estimates.estimand.items == "random" or ends is None or ends.kind not in ("t", "normal"):
        return found, 1.0
    spreads = _variances(estimates, transition, weights, margin, estimate or 0.0)
    if not error or estimate is None or spreads is None or not 0 < spreads[0] < spreads[1]:
        return found, 1.0
    factor = math.sqrt(spreads[1] / spreads[0])
    df = math.inf if found.df is None else found.df
    widened = symmetric(estimate, factor * error, df, estimates.level)
    return Linear(estimate, error, found.df, widened, found.n, found.clusters, (*found.notes, AT_MARGIN)), factor


def _variances(
    estimates: StageEstimates, transition: str, weights: Mapping[str, float], margin: float, component: float
) -> tuple[float, float] | None:
    """Of one answer, as seen and at the margin: of its change, or of its score after the benchmark."""
    scores = estimates.scores
    start, stop = next((start, stop) for start, stop, step in scores.chain.steps if step.to == transition)
    frame = scores.answers
    mine = frame[frame["arm"].isin([arm for arm, weight in weights.items() if weight]) & (frame["marginal"] == "")]
    columns = [stop.name] if start.source == "benchmark" else [start.name, stop.name]
    seen = mine[[*columns, "count"]].dropna()
    values = seen[columns].to_numpy(dtype=float)
    if seen.empty or not set(values.ravel().tolist()) <= {0.0, 1.0}:
        return None
    size = pd.Series(seen["count"].to_numpy(dtype=float))
    change = pd.Series(values[:, -1] - (values[:, 0] if len(columns) > 1 else 0.0))
    mean = float((change * size).sum() / size.sum())
    variance = float((change**2 * size).sum() / size.sum()) - mean**2
    if len(columns) > 1:
        return variance, margin * (1 - margin)
    there = min(max(mean + component - math.copysign(margin, component), 0.0), 1.0)
    return variance, there * (1 - there)
