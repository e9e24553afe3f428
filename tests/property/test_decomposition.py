"""What must hold for every trial: invariances of the whole chain from frame to rows."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import rctgap as rg

SLOW = settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
ITEMS = ["s1", "s2", "s3"]
BIT = st.integers(0, 1)
NUMBERS = ["estimate", "std_error", "lower", "upper", "share_of_gap", "lost", "gained"]


@st.composite
def trials(draw, control=True):
    """Answers of participants with one or two items each; every arm meets every item."""
    rows, arms = [], ["a1", "a2", *(["control"] if control else [])]
    for arm in arms:
        for person in range(draw(st.integers(4, 6))):
            extra = draw(st.booleans())
            for turn in range(2 if extra else 1):
                item = ITEMS[(person + turn) % 3]
                bits = draw(st.tuples(BIT, BIT, BIT))
                query, talk = (np.nan, np.nan) if arm == "control" else bits[:2]
                rows.append([f"{arm}{person}", item, arm, query, talk, bits[2]])
    frame = pd.DataFrame(rows, columns=["participant", "item", "arm", "own_query", "conversation", "decision"])
    runs = [[arm, item, draw(BIT)] for arm in ("a1", "a2") for item in ITEMS for _ in range(3)]
    return frame, pd.DataFrame(runs, columns=["system", "item", "benchmark"])


def decomposed(frame, runs, estimand=None, design=None, **options):
    chosen = estimand or rg.Estimand(items="fixed", item_weights="trial")
    trial = rg.read_trial(frame, benchmark=runs, design=design or rg.Design("control", ["a1", "a2"]))
    scores = rg.score_stages(trial, rg.DEFAULT_CHAIN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RctgapWarning)
        return rg.decompose(rg.estimate_frequentist(scores, chosen, **options), chosen)


def same(one, other, **tolerance):
    left, right = one.tidy(), other.tidy()
    assert len(left) == len(right)
    np.testing.assert_allclose(
        left[NUMBERS].astype(float),
        right[NUMBERS].astype(float),
        equal_nan=True,
        **{"rtol": 1e-12, "atol": 1e-13} | tolerance,
    )
    pd.testing.assert_frame_equal(
        left.drop(columns=[*NUMBERS, "df", "simultaneous_lower", "simultaneous_upper"]),
        right.drop(columns=[*NUMBERS, "df", "simultaneous_lower", "simultaneous_upper"]),
    )


@SLOW
@given(trials(), st.randoms(use_true_random=False), st.sampled_from(["observed", "trial", "uniform"]))
def test_permuting_rows_changes_nothing(data, random, weights):
    frame, runs = data
    estimand = rg.Estimand(items="fixed", item_weights=weights)
    order = list(range(len(frame)))
    random.shuffle(order)
    shuffled = frame.iloc[order].reset_index(drop=True)
    assert decomposed(frame, runs, estimand).components == decomposed(shuffled, runs.iloc[::-1], estimand).components


@SLOW
@given(trials(), st.lists(st.integers(1, 5), min_size=40, max_size=40))
def test_splitting_a_count_row_changes_nothing(data, counts):
    frame, runs = data
    counted = frame.assign(count=counts[: len(frame)])
    split = counted.loc[counted.index.repeat(counted["count"])].assign(count=1)
    plain = split.drop(columns="count")
    whole = decomposed(counted, runs)
    assert decomposed(split, runs).components == whole.components
    assert decomposed(plain, runs).components == whole.components


@SLOW
@given(trials())
def test_relabelling_arms_relabels_rows(data):
    frame, runs = data
    names = {"a1": "zeta", "a2": "beta", "control": "usual care"}
    renamed = decomposed(
        frame.assign(arm=frame["arm"].map(names)),
        runs.assign(system=runs["system"].map(names)),
        design=rg.Design("usual care", ["zeta", "beta"]),
    )
    back = {new: old for old, new in names.items()}
    relabelled, others = (
        tuple(replace(row, arm=back.get(row.arm, row.arm)) for row in rows)
        for rows in (renamed.components, renamed.alternatives)
    )
    assert len(relabelled) == len(decomposed(frame, runs).components)
    same(replace(renamed, components=relabelled, alternatives=others), decomposed(frame, runs))


@SLOW
@given(trials())
def test_swapping_control_flips_the_realized_effect(data):
    frame, _ = data
    both = frame[frame["arm"] != "a2"].assign(conversation=frame["decision"])
    chain = [rg.Stage("conversation"), rg.Stage("decision")]
    estimand = rg.Estimand(items="fixed")

    def effect(control, arm):
        scores = rg.score_stages(rg.read_trial(both, design=rg.Design(control, [arm])), chain)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rg.RctgapWarning)
            return rg.decompose(rg.estimate_frequentist(scores, estimand), estimand).row("realized_effect", arm)

    one, other = effect("control", "a1"), effect("a1", "control")
    assert one.estimate == pytest.approx(-other.estimate, abs=1e-13)
    assert one.lower == pytest.approx(-other.upper, abs=1e-12)
    assert one.std_error == pytest.approx(other.std_error, abs=1e-13)


@SLOW
@given(trials(), st.sampled_from(["observed", "trial", "uniform"]), st.sampled_from(["fixed", "random"]))
def test_components_add_up_in_every_output(data, weights, items):
    frame, runs = data
    result = decomposed(frame, runs, rg.Estimand(items=items, item_weights=weights))
    for _, rows in result.tidy().groupby(["arm", "items", "item_weights", "covariance", "estimator"]):
        value = rows.set_index("quantity")["estimate"].astype(float)
        assert value["own_query"] + value["conversation"] + value["decision"] == pytest.approx(value["gap"], abs=1e-12)
        assert value["task"] + value["outcome"] == pytest.approx(value["gap"], abs=1e-12)
        assert value["predicted_effect"] - value["gap"] == pytest.approx(value["realized_effect"], abs=1e-12)


@SLOW
@given(trials(), st.sampled_from(["CR1", "CR2", "CR3"]))
def test_no_interval_has_zero_width(data, correction):
    frame, runs = data
    perfect = frame.assign(conversation=frame["conversation"].where(frame["conversation"].isna(), 1.0))
    result = decomposed(perfect, runs.assign(benchmark=1), covariance="cluster", small_sample=correction)
    for row in (*result.components, *result.stages):
        if row.lower is not None and getattr(row, "quantity", "") != "item_mix":
            assert row.upper - row.lower > 1e-6, row


@SLOW
@given(trials())
def test_duplicating_every_participant_keeps_estimates_and_narrows_intervals(data):
    frame, runs = data
    twice = pd.concat([frame, frame.assign(participant=frame["participant"] + "b")], ignore_index=True)
    one, two = decomposed(frame, runs), decomposed(twice, runs)
    for left, right in zip(one.main(), two.main(), strict=True):
        if left.quantity in ("conversation", "decision") and left.interval == right.interval == "t":
            assert right.estimate == pytest.approx(left.estimate, abs=1e-12)
            assert right.std_error <= left.std_error + 1e-12
