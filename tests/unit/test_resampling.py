"""Drawing patterns again, on arrays: weights by their closed moments, and numbers that no worker changes."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import rctgap as rg
from rctgap import drawing
from rctgap.drawing import Block, collapsed
from rctgap.replication import in_batches, replicate
from rctgap.resampling import Targets

DRAWS = 10_000
STRATUM = np.array([0, 1, 0, 0, 1], dtype=np.intp)
ALIKE = np.array([30.0, 10.0, 50.0, 20.0, 40.0])


def block_of(multiplicity, stratum):
    """Units that hold one score each, another for every pattern."""
    unit = np.arange(len(stratum), dtype=np.intp)
    score = unit / 10.0
    return collapsed(unit, np.zeros_like(unit), score, np.ones(len(unit)), multiplicity, stratum, 1)


def drawn(block, weights="multinomial", times=DRAWS, seed=5):
    return np.array([block.drawn(rng, weights) for rng in np.random.default_rng(seed).spawn(times)])


def covariance_of(multiplicity, stratum, shrink):
    """Covariance of weights in strata of n units: n (diag(p) - p p'), over (n + 1) / n for Dirichlet weights."""
    found = np.zeros((len(stratum), len(stratum)))
    for one in np.unique(stratum):
        inside = np.where(stratum == one, multiplicity, 0.0)
        size = inside.sum()
        found += (np.diag(inside) - np.outer(inside, inside) / size) * (size / (size + 1) if shrink else 1.0)
    return found


@pytest.mark.parametrize(
    ("path", "weights", "scale"),
    [("slots", "multinomial", 0.1), ("multinomial", "multinomial", 1.0), ("gamma", "bayesian", 1.0)],
)
def test_weights_have_the_mean_and_covariance_of_the_draw(path, weights, scale):
    block = block_of(ALIKE * scale, STRATUM)
    assert (block.totals.sum() <= drawing.SLOTS_PER_PATTERN * 5) == (path == "slots")
    found = drawn(block, weights)
    expected = covariance_of(ALIKE * scale, STRATUM, weights == "bayesian")
    error = np.sqrt(expected.diagonal() / DRAWS)
    assert np.abs(found.mean(axis=0) - ALIKE * scale).max() < 5 * error.max()
    spread = np.sqrt(np.outer(expected.diagonal(), expected.diagonal()))
    assert np.abs(np.cov(found.T, ddof=0) - expected).max() < (6 / np.sqrt(DRAWS) * spread).max()


def test_both_ways_to_draw_counts_agree(monkeypatch):
    block = block_of(ALIKE / 5, STRATUM)
    found = {}
    for path, most in (("slots", 1000), ("multinomial", 0)):
        monkeypatch.setattr(drawing, "SLOTS_PER_PATTERN", most)
        found[path] = drawn(block)
    one, two = found.values()
    assert (one != two).any()
    assert one.mean(axis=0) == pytest.approx(two.mean(axis=0), abs=0.1)
    assert np.cov(one.T) == pytest.approx(np.cov(two.T), abs=0.25)


@pytest.mark.parametrize("most", [0, 1000])
@pytest.mark.parametrize("weights", ["multinomial", "bayesian"])
def test_every_stratum_keeps_its_number_of_units(monkeypatch, weights, most):
    monkeypatch.setattr(drawing, "SLOTS_PER_PATTERN", most)
    draw = np.random.default_rng(3)
    stratum = np.concatenate([np.arange(6), draw.integers(0, 6, 60)]).astype(np.intp)
    block = block_of(draw.integers(1, 9, 66).astype(float), stratum)
    found = drawn(block, weights, times=200)
    sums = np.array([np.bincount(block.stratum, one) for one in found])
    assert np.abs(sums - block.totals).max() < 1e-9
    assert (found >= 0).all()
    if weights == "multinomial":
        assert (found == found.round()).all()


def test_a_stratum_of_one_unit_is_always_drawn():
    block = block_of(np.array([1.0, 4.0, 2.0]), np.array([0, 1, 1]))
    alone = np.flatnonzero(block.stratum == 0)[0]
    for weights in ("multinomial", "bayesian"):
        assert drawn(block, weights, times=50)[:, alone] == pytest.approx(1.0)


def held_by(people, alike):
    """Two columns a person, of which some people's scores are alike; the last has no score in the second."""
    draw = np.random.default_rng(1)
    scores = draw.random((people, 2))
    scores[1::2] = scores[::2][: people // 2] if alike else scores[1::2]
    unit, column = (one.ravel() for one in np.indices((people, 2)))
    return unit[:-1], column[:-1], scores.ravel()[:-1]


def test_alike_units_are_one_pattern_and_others_are_not():
    unit, column, value = held_by(9, alike=True)
    stratum = np.zeros(9, dtype=np.intp)
    ones = np.ones(9)
    block = collapsed(unit, column, value, np.ones(len(unit)), ones, stratum, 2)
    assert sorted(block.multiplicity) == [1, 2, 2, 2, 2]
    apart = collapsed(unit, column, value, np.ones(len(unit)), ones, np.arange(9) % 2, 2)
    assert sorted(apart.multiplicity) == [1] * 9


def test_collapsing_changes_no_distribution():
    """The sum of scores drawn again, from people as they are and from people of whom each stands for himself."""
    unit, column, value = held_by(12, alike=True)
    count, ones, stratum = np.ones(len(unit)), np.ones(12), (np.arange(12) >= 6).astype(np.intp)
    joined = collapsed(unit, column, value, count, ones, stratum, 2)
    marked = np.concatenate([unit, np.arange(12)]), np.concatenate([column, np.full(12, 2)])
    single = collapsed(*marked, np.concatenate([value, np.arange(12) / 7]), np.ones(len(unit) + 12), ones, stratum, 3)
    assert (joined.multiplicity.size, single.multiplicity.size) == (7, 12)
    for weights in ("multinomial", "bayesian"):
        one, two = (
            np.array([np.asarray(block.columns @ weight)[block.score[:2]] for weight in drawn(block, weights)])
            for block in (joined, single)
        )
        assert one.mean(axis=0) == pytest.approx(two.mean(axis=0), rel=0.02)
        assert np.cov(one.T) == pytest.approx(np.cov(two.T), rel=0.06)


def test_repeated_entries_of_a_unit_add_up():
    """A person with two scores in a column, and a score that stands for three."""
    block = collapsed(
        np.array([0, 0, 1]), np.array([0, 0, 0]), np.array([0.25, 0.5, 1.0]), np.array([1.0, 1.0, 3.0]),
        np.ones(2), np.zeros(2, dtype=np.intp), 2,
    )  # fmt: skip
    held = block.held.toarray()
    assert sorted(zip(held[:, block.score[0]], held[:, block.size[0]], strict=True)) == [(0.75, 2.0), (3.0, 3.0)]
    assert (block.score[1], block.size[1]) == (-1, -1)


def test_scores_that_are_all_zero_are_counted():
    block = collapsed(
        np.array([0, 1]), np.array([0, 1]), np.zeros(2), np.ones(2), np.ones(2), np.zeros(2, dtype=np.intp), 2
    )
    held = block.held.toarray()
    assert held[:, block.size].sum(axis=0).tolist() == [1.0, 1.0]
    assert held[:, block.score].sum() == 0


def test_slopes_of_a_ratio_are_numerical_derivatives():
    targets = Targets(np.array([[1.0, -1.0, 0.0]] * 2), np.array([[0.0, 1.0, 2.0], [0.0] * 3]), np.array([True, False]))
    moments = np.array([[0.7, 0.2], [0.4, 0.9], [0.3, 0.1]])
    top, bottom = targets.slopes(moments)
    assert targets.of(moments)[0] == pytest.approx([0.3 / 1.0, -0.7 / 1.1])
    assert targets.of(moments)[1] == pytest.approx([0.3, -0.7])
    over, under = np.array([0.3, -0.7]), np.array([1.0, 1.1])
    assert top[0] == pytest.approx(((over + 1e-6) / under - over / under) / 1e-6)
    assert bottom[0] == pytest.approx((over / (under + 1e-6) - over / under) / 1e-6, rel=1e-5)
    assert (top[1] == 1.0).all()
    assert (bottom[1] == 0.0).all()


# Workers, batches and seeds.


@pytest.fixture(scope="module")
def estimates(study):
    frame = study.simulated(people=20, arms=("a1", "a2", "control"), seed=2)
    runs = study.benchmark(("a1", "a2"), repeats=5)
    design = rg.Design("control", ["a1", "a2"])
    return {
        items: study.estimated(frame, runs, rg.Estimand(items, "trial"), design=design) for items in ("fixed", "random")
    }


def replicates(estimates, kind, times=150, **options):
    fitting = estimates["fixed" if kind == "participant" else "random"]
    found = rg.bootstrapped(fitting, kind=kind, interval="studentized", replicates=times, **options).bootstrap
    return found.drawn.moments, found.drawn.std_errors


def same(one, two):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("weights", ["multinomial", "bayesian"])
@pytest.mark.parametrize("kind", ["participant", "item", "crossed"])
def test_workers_and_batches_change_no_bit(estimates, kind, weights):
    alone = replicates(estimates, kind, weights=weights)
    with ThreadPoolExecutor(2) as threads:
        assert same(replicates(estimates, kind, weights=weights, executor=threads), alone)
    for fewer in (100, 129):  # 129 leaves a batch of one
        assert same(replicates(estimates, kind, times=fewer, weights=weights), [one[:, :fewer] for one in alone])


def test_processes_change_no_bit(estimates):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        for kind in ("participant", "item", "crossed"):
            assert same(replicates(estimates, kind, executor=processes), replicates(estimates, kind))


@pytest.mark.parametrize("kind", ["participant", "item", "crossed"])
def test_every_replicate_is_its_own_and_seeds_differ(estimates, kind):
    moments, errors = replicates(estimates, kind)
    filled = np.isfinite(moments).any(axis=1)
    # Of three items there are ten different draws.
    least = 150 if kind == "participant" else 5
    assert np.unique(moments[filled].round(12), axis=1).shape[1] >= least
    assert np.isfinite(errors).any(axis=1).all()
    assert not same(replicates(estimates, kind, seed=1), (moments, errors))
    assert same(replicates(estimates, kind, seed=20260522), (moments, errors))


def test_progress_sees_every_batch(estimates):
    seen = []

    def told(batches):
        for batch in batches:
            seen.append(len(batch))
            yield batch

    rg.bootstrapped(estimates["fixed"], replicates=150, progress=told)
    assert seen == [64, 64, 22]


def several(generators):
    return [float(rng.random()) for rng in generators]


def one(rng):
    return float(rng.random())


@pytest.mark.parametrize("smallest", [1, 7, 1000])
def test_batches_give_each_generator_what_it_gets_alone(smallest):
    sizes = []

    def task(generators):
        sizes.append(len(generators))
        return several(generators)

    alone = replicate(one, 150, seed=7)
    assert in_batches(task, 150, seed=7, smallest=smallest) == alone
    assert sum(sizes) == 150
    assert min(sizes[:-1], default=150) >= min(smallest, 150)
    assert len(sizes) <= 64
    assert in_batches(several, 100, seed=7) == alone[:100]
    assert alone[:2] == [float(np.random.default_rng(child).random()) for child in np.random.SeedSequence(7).spawn(2)]


def test_batches_come_in_order_from_any_executor():
    alone = in_batches(several, 40, seed=7, smallest=3)
    with ThreadPoolExecutor(3) as threads:
        assert in_batches(several, 40, seed=7, smallest=3, executor=threads) == alone
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        assert in_batches(several, 40, seed=np.random.SeedSequence(7), smallest=3, executor=processes) == alone
    assert in_batches(several, 0, seed=7) == []


def test_a_block_draws_what_its_generator_gives():
    block = Block(block_of(ALIKE, STRATUM).held, np.array([0]), np.array([1]), ALIKE, STRATUM)
    first, again, other = (block.drawn(np.random.default_rng(seed), "multinomial") for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
