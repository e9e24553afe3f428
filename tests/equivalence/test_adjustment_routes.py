"""Adjusted means by other routes: statsmodels' regressions, predictions averaged by hand, stacked equations, trials."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import optimize, stats

import rctgap as rg
from rctgap.inference import linear
from rctgap.replication import replicate

PAIR = rg.Chain(
    (rg.Stage("conversation"), rg.Stage("decision")), (rg.Transition("decision", "outcome", ("outcome.x",)),)
)
FORMULA = "age + C(site)"
EFFECT = {rg.MomentKey("a1", "decision"): 1.0, rg.MomentKey("control", "decision"): -1.0}
FIXED = rg.Estimand("fixed")


def answers(seed=4, people=(40, 55), turns=3):
    """Participants with a covariate each that foretells their scores, and answers to some of four items."""
    draw, rows = np.random.default_rng(seed), []
    for arm, number in zip(("a1", "control"), people, strict=True):
        for person in range(number):
            age, site = draw.normal(50, 10), draw.choice(["north", "south", "west"])
            for item in draw.choice(4, draw.integers(1, turns + 1), replace=False):
                ease = (age - 50) / 10 + 0.6 * (site == "south") + 0.3 * item - 0.4
                talk, decided = (float(draw.normal() + ease > 0) for _ in range(2))
                rows.append((f"{arm}{person}", f"s{item}", arm, age, site, talk, decided))
    frame = pd.DataFrame(rows, columns=["participant", "item", "arm", "age", "site", "conversation", "decision"])
    return frame.assign(conversation=frame["conversation"].where(frame["arm"] == "a1"))


def scored(frame, covariates=("age", "site")):
    return rg.score_stages(rg.read_trial(frame, design=rg.Design("control", ["a1"])), PAIR, covariates=covariates)


def estimated(frame, estimand=FIXED, covariates=("age", "site"), **options):
    return rg.estimate_frequentist(scored(frame, covariates), estimand, **options)


def centred(frame):
    """Age and dummies of site about their means over all answers, and assignment."""
    columns = pd.get_dummies(frame[["age", "site"]], drop_first=True, dtype=float)
    return (columns - columns.mean()).assign(decision=frame["decision"], treated=(frame["arm"] == "a1").astype(float))


def interacted(frame, **options):
    return smf.ols("decision ~ treated * (age + site_south + site_west)", centred(frame)).fit(**options)


def standardised(frame, arm, fitter, mix=None):
    """Mean over all answers of a model fitted to one arm; or over each item's answers, items weighted by `mix`."""
    mine = frame[frame["arm"] == arm]
    fitted = fitter(f"decision ~ {FORMULA}" + ("" if mix is None else " + C(item)"), mine).predict(frame)
    if mix is None:
        return fitted.mean()
    return sum(weight * fitted[frame["item"] == item].mean() for item, weight in mix.items())


def least_squares(formula, frame):
    return smf.ols(formula, frame).fit()


def logit(formula, frame):
    return smf.glm(formula, frame, family=sm.families.Binomial()).fit(tol=1e-12, tol_criterion="params")


def test_the_linear_effect_is_the_interacted_least_squares_of_lin():
    frame = answers()
    found = linear(estimated(frame, adjustment="linear"), [EFFECT])[0]
    assert found.estimate == pytest.approx(interacted(frame).params["treated"], abs=1e-10)


def test_covariates_are_adjusted_for_linearly_where_no_model_is_named():
    frame = answers()
    named, unnamed = (linear(estimated(frame, **one), [EFFECT])[0] for one in ({"adjustment": "linear"}, {}))
    assert named == unnamed


@pytest.mark.parametrize("arm", ["a1", "control"])
@pytest.mark.parametrize(("adjustment", "fitter"), [("linear", least_squares), ("logistic", logit)])
def test_a_stage_mean_averages_the_predictions_for_all_randomised_answers(adjustment, fitter, arm):
    frame = answers()
    found = estimated(frame, adjustment=adjustment).value(rg.MomentKey(arm, "decision"))
    assert found == pytest.approx(standardised(frame, arm, fitter), abs=1e-10)


@pytest.mark.parametrize("arm", ["a1", "control"])
@pytest.mark.parametrize(("adjustment", "fitter"), [("linear", least_squares), ("logistic", logit)])
@pytest.mark.parametrize("weights", ["trial", "uniform", {"s0": 0.5, "s1": 0.2, "s2": 0.2, "s3": 0.1}])
def test_with_weighted_items_predictions_average_within_items_first(adjustment, fitter, arm, weights):
    frame = answers()
    mix = {
        "trial": frame.loc[frame["arm"] == "a1", "item"].value_counts(normalize=True).to_dict(),
        "uniform": dict.fromkeys(("s0", "s1", "s2", "s3"), 0.25),
    }.get(weights if isinstance(weights, str) else "", weights)
    found = estimated(frame, rg.Estimand("fixed", weights), adjustment=adjustment)
    expected = standardised(frame, arm, fitter, mix)
    assert found.value(rg.MomentKey(arm, "decision")) == pytest.approx(expected, abs=1e-10)


def test_items_without_weight_leave_the_fit():
    frame = answers()
    mix = {"s1": 0.25, "s3": 0.75}
    expected = standardised(frame[frame["item"].isin(mix)], "a1", least_squares, mix)
    found = estimated(frame, rg.Estimand("fixed", mix), adjustment="linear")
    assert found.value(rg.MomentKey("a1", "decision")) == pytest.approx(expected, abs=1e-10)


def test_an_item_answered_alike_by_everyone_is_the_limit_of_the_logistic_fit():
    frame = answers()
    always = (frame["item"] == "s3") & (frame["arm"] == "a1")
    frame.loc[always, "decision"] = 1.0
    mix = {"s0": 0.25, "s1": 0.25, "s2": 0.25, "s3": 0.25}
    rest = frame[(frame["item"] != "s3")]
    others = dict.fromkeys(("s0", "s1", "s2"), 1 / 3)
    expected = 0.25 + 0.75 * standardised(rest, "a1", logit, others)
    found = estimated(frame, rg.Estimand("fixed", mix), adjustment="logistic")
    assert found.value(rg.MomentKey("a1", "decision")) == pytest.approx(expected, abs=1e-10)
    assert not any("Not adjusted" in note for note in found.notes)


def test_rows_with_counts_are_rows_repeated():
    frame = answers().drop(columns="participant").assign(age=lambda one: one["age"].round(-1))
    keys = ["item", "arm", "age", "site", "conversation", "decision"]
    patterns = frame.groupby(keys, dropna=False).size().rename("count").reset_index()
    for adjustment in ("linear", "logistic"):
        one, two = (linear(estimated(each, adjustment=adjustment), [EFFECT])[0] for each in (frame, patterns))
        assert (one.estimate, one.std_error, one.n) == pytest.approx((two.estimate, two.std_error, two.n), rel=1e-9)


def slopes_variance(frame, small):
    """What covariates of all answers add: participants' sums of (f1 - f0) about its mean, over N."""
    gap = sum(
        sign * least_squares(f"decision ~ {FORMULA}", frame[frame["arm"] == arm]).predict(frame)
        for arm, sign in (("a1", 1), ("control", -1))
    )
    return small * (((gap - gap.mean()) / len(frame)).groupby(frame["participant"]).sum() ** 2).sum()


def test_the_standard_error_is_cluster_robust_least_squares_plus_the_spread_of_effects_over_covariates():
    """Least squares holds the covariates fixed; the effect in the population also varies with who was sampled.

    Residuals and predictions of one participant also go together, by a term of smaller order where each answers once.
    """
    frame = answers(people=(300, 340), turns=1)
    groups = {"groups": pd.factorize(frame["participant"])[0], "use_correction": False}
    fixed = interacted(frame, cov_type="cluster", cov_kwds=groups).bse["treated"]
    scales = {arm: (n - 1) / (n - 4) for arm, n in frame.groupby("arm").size().items()}
    found = linear(estimated(frame, small_sample="CR1"), [EFFECT])[0]
    clusters = len(frame)
    lower, upper = (
        math.sqrt(clusters / (clusters - 1) * (scale * fixed**2 + slopes_variance(frame, 1.0)))
        for scale in (min(scales.values()), max(scales.values()))
    )
    assert lower * (1 - 2e-3) < found.std_error < upper * (1 + 2e-3)
    assert found.std_error > 1.002 * fixed


def stacked_standard_error(frame, family, residual_scale):
    """Sandwich of the stacked equations of both arms' coefficients and both means, by numerical derivatives."""
    columns = pd.get_dummies(frame[["age", "site"]], drop_first=True, dtype=float)
    columns["age"] = (columns["age"] - 50) / 10
    design = np.column_stack([np.ones(len(frame)), columns])
    arms = [(frame["arm"] == arm).to_numpy(float) for arm in ("a1", "control")]
    score = frame["decision"].to_numpy()
    inverse = {"linear": lambda eta: eta, "logistic": lambda eta: 1 / (1 + np.exp(-eta))}[family]
    size = design.shape[1]

    def equations(values):
        parts = []
        for position, arm in enumerate(arms):
            fitted = inverse(design @ values[position * size : (position + 1) * size])
            parts += [design * (arm * (score - fitted))[:, None], (fitted - values[2 * size + position])[:, None]]
        return np.column_stack([parts[0], parts[2], parts[1], parts[3]])

    start = np.concatenate([np.zeros(2 * size), [0.5, 0.5]])
    root = optimize.root(lambda values: equations(values).mean(axis=0), start, tol=1e-12).x
    step = 1e-5
    bread = np.column_stack(
        [
            (equations(root + step * unit).sum(axis=0) - equations(root - step * unit).sum(axis=0)) / (2 * step)
            for unit in np.eye(root.size)
        ]
    )
    scale = np.concatenate([np.full(2 * size, residual_scale), [1.0, 1.0]])
    influence = np.linalg.solve(bread, (scale * equations(root)).T).T
    people = pd.DataFrame(influence).groupby(frame["participant"].to_numpy()).sum().to_numpy()
    contrast = np.concatenate([np.zeros(2 * size), [1.0, -1.0]])
    return float(np.sqrt(((people @ contrast) ** 2).sum()))


@pytest.mark.parametrize("adjustment", ["linear", "logistic"])
def test_the_standard_error_is_the_sandwich_of_the_stacked_equations(adjustment):
    """Apart from the two corrections that are documented: G/(G - 1), and (G - 1)/(G - 1 - q) on residuals."""
    frame = answers(people=(60, 60))
    found = linear(estimated(frame, small_sample="CR1", adjustment=adjustment), [EFFECT])[0]
    clusters, covariates = frame["participant"].nunique(), 3
    residual_scale = math.sqrt((60 - 1) / (60 - 1 - covariates))
    expected = math.sqrt(clusters / (clusters - 1)) * stacked_standard_error(frame, adjustment, residual_scale)
    assert found.std_error == pytest.approx(expected, rel=1e-6)


PLAIN = {"a1": {"conversation": 0.8, "decision": 0.55}, "control": {"decision": 0.4}}
CLASSES = np.array([-1.2, 0.0, 1.2])
QUANTITIES = {
    "effect": (EFFECT, 0.15),
    "decision": ({rg.MomentKey("a1", "decision"): 1.0}, 0.55),
    "conversation": ({rg.MomentKey("a1", "conversation"): 1.0}, 0.80),
    "component": ({rg.MomentKey("a1", "conversation"): 1.0, rg.MomentKey("a1", "decision"): -1.0}, 0.25),
}


def chances(mean, slope):
    """Chance of a right score in each of three classes alike in size, averaging to the mean."""

    def each(shift):
        return stats.norm.cdf(shift + slope * CLASSES)

    return each(optimize.brentq(lambda shift: each(shift).mean() - mean, -9, 9))


def drawn_counts(rng, per_arm, slope):
    """A trial as counts of patterns: class, conversation, decision; right scores go together within a class."""
    parts = []
    for arm, means in PLAIN.items():
        classes = rng.multinomial(per_arm, np.full(3, 1 / 3))
        for klass, number in enumerate(classes):
            right = {stage: chances(mean, slope)[klass] for stage, mean in means.items()}
            talk, decided = right.get("conversation", 0.0), right["decision"]
            both = min(talk, decided) * 0.5 + talk * decided * 0.5
            cells = [both, talk - both, decided - both, 1 - talk - decided + both]
            scores = [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]
            if arm == "control":
                cells, scores = [decided, 1 - decided], [(np.nan, 1.0), (np.nan, 0.0)]
            parts += [
                (arm, CLASSES[klass], *pair, float(count))
                for pair, count in zip(scores, rng.multinomial(number, cells), strict=True)
                if count
            ]
    return pd.DataFrame(parts, columns=["arm", "severity", "conversation", "decision", "count"])


def simulated(rng, *, per_arm=150, slope=1.2):
    """Estimate, standard error and coverage of each quantity: unadjusted, linear, logistic."""
    frame = drawn_counts(rng, per_arm, slope)
    scores = scored(frame, ("severity",))
    bare = replace(scores, covariates=())
    found = []
    for one, adjustment in ((bare, None), (scores, "linear"), (scores, "logistic")):
        rows = linear(
            rg.estimate_frequentist(one, FIXED, adjustment=adjustment), [row for row, _ in QUANTITIES.values()]
        )
        truths = [truth for _, truth in QUANTITIES.values()]
        found.append(
            [
                (row.estimate - truth, row.std_error, row.interval.lower <= truth <= row.interval.upper)
                for row, truth in zip(rows, truths, strict=True)
            ]
        )
    return np.array(found, dtype=float)


TRIALS = 200


@pytest.fixture(scope="module")
def trials():
    """Shape (trials, estimators, quantities, 3)."""
    return np.array(replicate(simulated, TRIALS, seed=20260522))


def test_standard_errors_are_the_spread_of_the_estimates(trials):
    """A standard deviation from 200 trials has a relative Monte Carlo error of 5 %; three of them are allowed."""
    spread, mean = trials[:, 1:, :, 0].std(axis=0, ddof=1), np.sqrt((trials[:, 1:, :, 1] ** 2).mean(axis=0))
    assert (np.abs(spread / mean - 1) < 3 / math.sqrt(2 * TRIALS)).all(), spread / mean
    assert abs((spread / mean).mean() - 1) < 0.05


def test_intervals_cover_at_their_level(trials):
    covered = trials[:, 1:, :, 2].mean(axis=0)
    assert (np.abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / TRIALS)).all(), covered


def test_adjusted_estimates_are_unbiased(trials):
    errors = trials[:, 1:, :, 0]
    assert (np.abs(errors.mean(axis=0)) < 4 * errors.std(axis=0) / math.sqrt(TRIALS)).all()


def test_adjusting_for_a_prognostic_covariate_narrows_the_effect(trials):
    """The effect's standard error falls by a fifth or more here, and its spread over trials with it."""
    errors = trials[:, :, 0, 1].mean(axis=0)
    spread = trials[:, :, 0, 0].std(axis=0)
    assert (errors[1:] < 0.85 * errors[0]).all()
    assert (spread[1:] < 0.85 * spread[0]).all()
