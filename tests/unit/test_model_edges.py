"""The hierarchical model where data are scarce or odd: finite numbers, or a reason; sampled briefly."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import rctgap as rg
from rctgap.bayesian import under
from rctgap.errors import EstimationError

pytestmark = pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS:UserWarning")

FIXED, RANDOM = rg.Estimand("fixed"), rg.Estimand("random")
SHORT = {"draws": 100, "tune": 150, "chains": 2, "seed": 1}


def separated(study):
    """Five participants in one AI arm, every conversation right, every own query wrong, no control."""
    frame = study.simulated(people=5, arms=("a1",), items=("s1", "s2"))
    return study.scored(frame.assign(own_query=0.0, conversation=1.0), study.benchmark(), rg.Design(None, ["a1"]))


def single(study):
    return study.scored(study.simulated(items=("s1",), answers=1), study.benchmark(items=("s1",)))


def nameless(study):
    """Counts of nobody's answers to unnamed items, without a benchmark."""
    frame = study.simulated().drop(columns=["participant", "item"])
    stages = [rg.Stage("own_query"), rg.Stage("conversation"), rg.Stage("decision")]
    return study.scored(frame, None, stages=stages)


def graded(study):
    """Decisions of three declared levels."""
    frame = study.simulated(people=30)
    levels = np.random.default_rng(1).choice([0.0, 0.5, 1.0], len(frame), p=[0.3, 0.5, 0.2])
    return replace(study.scored(frame.assign(decision=levels), study.benchmark()), scales={"decision": "ordinal"})


def idle(study):
    """A quarter of an arm never wrote, and its own queries are another arm's."""
    frame = study.simulated(people=40, arms=("a1", "a2", "control"))
    never = (frame["arm"] == "a1") & (np.arange(len(frame)) % 8 < 2)
    frame = frame.assign(used=(~never).astype(int))
    frame.loc[never, ["own_query", "conversation"]] = np.nan
    loan = rg.Borrowing("own_query", "a2", "it is the same system")
    design = rg.Design("control", [rg.Arm("a1", borrowed=(loan,)), "a2"])
    return study.scored(frame, study.benchmark(("a1", "a2")), design)


CASES = {
    "graded": (graded, [FIXED, RANDOM]),
    "idle": (idle, [rg.Estimand("fixed", non_users=policy) for policy in ("zero", "control", "exclude")]),
    "separated": (separated, [FIXED, RANDOM]),
    "single item": (single, [FIXED, rg.Estimand("fixed", "uniform")]),
    "nameless": (nameless, [FIXED]),
}


@pytest.mark.parametrize("name", CASES)
def test_odd_data_give_numbers_or_a_reason(study, name, tmp_path):
    make, estimands = CASES[name]
    scores = make(study)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RctgapWarning)
        estimates = rg.estimate_bayesian(scores, estimands[0], **SHORT)
        for estimand in estimands:
            found = estimates if estimand == estimands[0] else under(estimates, estimand)
            result = rg.decompose(found, estimand)
            assert study.faults(result) == []
            parts = [row for row in result.components if row.kind == "component" and row.arm == "a1"]
            assert all(-1 <= row.estimate <= 1 for row in parts if row.estimate is not None)
            plain = rg.estimate_frequentist(scores, estimand, adjustment="none")
            means = {key: plain.value(key) for key in plain.keys if ":" not in key.name}
            assert all(abs(found.value(key) - mean) < 0.2 for key, mean in means.items() if key not in found.missing)
    rg.save(result, tmp_path / "out")
    assert len(rg.load(tmp_path / "out").components) == len(result.components)


@pytest.mark.parametrize("name", ["single item", "nameless"])
def test_items_cannot_be_random_where_there_is_one_or_none(study, name):
    with pytest.raises(EstimationError, match="items are random"):
        rg.estimate_bayesian(CASES[name][0](study), RANDOM, **SHORT)
