"""Kappa, the tuned lambda and means of labels against R's vcd, sandwich and clubSandwich (measurement.R)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rctgap.chance_agreement import cohen_kappa
from rctgap.rectification import LabelledScores, arm_means, labelled_mean, pooled_variance, pseudo_scores, tuned_lambda

HERE = Path(__file__).parent / "measurement"
ANSWERS = pd.read_csv(HERE / "answers.csv")
KAPPA = pd.read_csv(HERE / "kappa.csv", index_col="scheme")
LAMBDA = pd.read_csv(HERE / "lambda.csv", index_col="quantity")["value"]
MEANS = pd.read_csv(HERE / "means.csv")


def column(name):
    return ANSWERS[name].to_numpy()


def scores():
    names = ("automatic", "human", "probability", "arm", "participant")
    numeric = [column(name).astype(float) for name in names[:3]]
    return LabelledScores(*numeric, column("arm").astype(str), column("participant"))


@pytest.mark.parametrize("scheme", ["none", "linear", "quadratic"])
def test_kappa_and_its_variance_equal_vcd(scheme):
    size = len(ANSWERS)
    found = cohen_kappa(column("first").astype(float), column("second").astype(float), np.arange(size), scheme=scheme)
    assert found.estimate == pytest.approx(KAPPA.loc[scheme, "estimate"], rel=1e-10)
    assert found.std_error**2 * (size - 1) / size == pytest.approx(KAPPA.loc[scheme, "variance"], rel=1e-8)


def test_the_tuned_lambda_is_where_sandwich_finds_the_least_variance():
    assert tuned_lambda(scores()) == pytest.approx(LAMBDA["lambda"], abs=1e-6)
    assert pooled_variance(scores(), tuned_lambda(scores())) == pytest.approx(LAMBDA["variance"], rel=1e-10)
    assert pooled_variance(scores(), 0.0) == pytest.approx(LAMBDA["variance_at_0"], rel=1e-10)


@pytest.mark.parametrize("method", ["labelled", "pseudo"])
def test_means_their_errors_and_degrees_of_freedom_equal_club_sandwich(method):
    own = scores()
    values = pseudo_scores(own, 0.5).scores
    found = labelled_mean(own) if method == "labelled" else arm_means(values, own.arm, own.participant, own.weight)
    expected = MEANS.query("method == @method")
    assert [one.arm for one in found] == expected["arm"].tolist() == ["a1", "a2", "a3"]
    # clubSandwich takes another square root where the weights of one participant differ, 0.05 % off here.
    close = 1e-3 if method == "labelled" else 1e-8
    for one, row in zip(found, expected.itertuples(), strict=True):
        assert one.estimate == pytest.approx(row.estimate, rel=1e-12)
        assert (one.std_error, one.df) == pytest.approx((row.std_error, row.df), rel=close)
