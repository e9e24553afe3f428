"""The same estimates with other intervals, beside the main ones: each once, under keys of their own, kept in files."""

import warnings
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

import rctgap as rg
from rctgap.checks import checked

ITEMS = ("s1", "s2", "s3", "s4")
KEYS = ("arm", "quantity", "method", "estimator", "covariance", "items", "item_weights", "scores")


def estimated(study, items, arms=("a1",), **options):
    frame = study.simulated(people=20, arms=(*arms, "control"), items=ITEMS, seed=2)
    runs = study.benchmark(arms, ITEMS, repeats=5)
    return study.estimated(frame, runs, rg.Estimand(items), design=rg.Design("control", arms), **options)


def decomposed(estimates, beside=()):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RctgapWarning)
        result = rg.decompose(estimates, estimates.estimand, beside=beside)
    return checked(replace(result, settings=replace(result.settings, suppress_below=0)))


CASES = {
    "fixed": lambda study: (estimated(study, "fixed"), []),
    "fixed, bootstrap beside": lambda study: _beside(estimated(study, "fixed")),
    "random": lambda study: (estimated(study, "random"), []),
    "random, t": lambda study: (estimated(study, "random", intervals="t"), []),
    "random, bootstrap beside": lambda study: _beside(estimated(study, "random")),
    "random, bounded, two arms": lambda study: _beside(estimated(study, "random", ("a1", "a2"), intervals="bounded")),
    "bootstrap": lambda study: (rg.bootstrapped(estimated(study, "fixed"), replicates=150), []),
    "bootstrap over items": lambda study: (rg.bootstrapped(estimated(study, "random"), replicates=150), []),
}


def _beside(estimates):
    return estimates, [rg.bootstrapped(estimates, replicates=150)]


@pytest.fixture(scope="module")
def result_of(study):
    """The decomposition of a case, made once."""
    return cache(lambda case: decomposed(*CASES[case](study)))


@pytest.fixture(params=CASES)
def result(request, result_of):
    return result_of(request.param)


def test_every_row_has_a_key_of_its_own(result):
    rows = (*result.components, *result.alternatives)
    counts = Counter(row.key for row in rows)
    assert [key for key, count in counts.items() if count > 1] == []
    assert result.components[0].key == tuple(getattr(result.components[0], name) for name in KEYS)


def test_a_result_with_alternatives_survives_its_files(result, tmp_path):
    loaded = rg.load(rg.save(result, tmp_path / "out"))
    assert loaded.alternatives == result.alternatives
    assert loaded == result


def styles_of(rows):
    """Way of making intervals, by estimand."""
    return Counter(
        (row.items, row.item_weights, row.estimator) for row in rows if (row.arm, row.quantity) == ("all", "gap")
    )


MIXES = ("observed", "trial")


@pytest.mark.parametrize(
    ("case", "main", "others"),
    [
        ("fixed", {"fixed": "", "random": ", few-items"}, {"fixed": (), "random": ("", ", bounded")}),
        ("random", {"random": ", few-items"}, {"random": ("", ", bounded")}),
        ("random, t", {"random": ""}, {"random": (", few-items", ", bounded")}),
    ],
)
def test_every_other_style_stands_beside_once_per_estimand(result_of, case, main, others):
    result = result_of(case)
    assert styles_of(result.components) == {
        (items, mix, f"plug-in{style}"): 1 for items, style in main.items() for mix in MIXES
    }
    assert styles_of(result.alternatives) == {
        (items, mix, f"plug-in{style}"): 1 for items, styles in others.items() for style in styles for mix in MIXES
    }


@pytest.mark.parametrize("items", ["fixed", "random"])
def test_a_bootstrap_beside_gives_every_quantity_another_interval(result_of, items):
    result, alone = result_of(f"{items}, bootstrap beside"), result_of(items)
    assert result.components == alone.components
    assert set(alone.alternatives) < set(result.alternatives)
    rows = {(row.arm, row.quantity): row for row in result.alternatives if "bootstrap" in row.estimator}
    assert rows.keys() == {(row.arm, row.quantity) for row in result.main()}
    for row in result.main():
        other = rows[row.arm, row.quantity]
        assert other.estimate == row.estimate
        if row.quantity == "item_mix":
            assert (other.interval, "not resampled" in other.note or row.interval == "") == ("", True)
        else:
            assert other.interval in ("bca", "studentized", "percentile"), (row.arm, row.quantity, other.note)
            assert other.lower < other.upper
    shares = {row.method for row in result.shares if "bootstrap" in row.estimator}
    assert "bootstrap" in shares
    assert any(note.startswith("Bootstrap by ") for note in result.notes)


def test_ways_that_leave_ratios_to_the_plug_in_do_not_repeat_them(result_of):
    result = result_of("random")
    kinds = Counter((row.estimator, row.kind) for row in result.alternatives)
    assert kinds["plug-in, bounded", "conditional"] == 0
    assert kinds["plug-in, bounded", "gap"] > 0
    assert kinds["plug-in", "conditional"] == 2 * 2 * 2  # mixes, arms, ratios


def test_rows_hold_the_intervals_of_their_style(result_of):
    result = result_of("random, bootstrap beside")
    kinds = {
        style: {row.interval for row in result.alternatives if row.estimator == f"plug-in{style}" and row.interval}
        for style in ("", ", bounded", ", bootstrap by item, studentized")
    }
    assert kinds[""] <= {"t", "mover", "wilson"}
    assert kinds[", bounded"] == {"betting"}
    drawn = kinds[", bootstrap by item, studentized"]
    assert drawn
    assert drawn <= {"studentized", "percentile"}
