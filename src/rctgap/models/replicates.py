"""Replicated data: what the fitted model expects the same answers to score, by response, group and item."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rctgap.models.means import walk
from rctgap.models.parameters import Parameters, Predictor
from rctgap.models.structure import STATES, UNREAD, Structure

__all__ = ["Replicates", "replicated"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Replicates:
    """Cell means, observed and replicated.

    Attributes
    ----------
    response, group, item : ndarray of int, shape (L,)
        The cell; `item` is -1 where its rows name none.
    size, observed : ndarray, shape (L,)
        Scores in the cell, and their mean.
    means : ndarray, shape (n, L)
        Means of replicated scores, one row a draw.
    """

    response: Codes
    group: Codes
    item: Codes
    size: Array
    observed: Array
    means: Array


@dataclass(frozen=True, slots=True)
class _Answers:
    """Answers spelt out: terms along each chain (T: none), which were seen, the person (-1: nobody), and how often."""

    chain: Codes
    seen: npt.NDArray[np.bool_]
    person: Codes
    times: Array

    def rows(self, where: npt.NDArray[np.generic]) -> "_Answers":
        """Some of the answers."""
        return _Answers(self.chain[where], self.seen[where], self.person[where], self.times[where])

    def repeated(self, where: npt.NDArray[np.bool_]) -> "_Answers":
        """Some of the answers, each as often as it occurs; nobody's become somebody's of their own."""
        again = np.repeat(np.flatnonzero(where), self.times[where].astype(np.intp))
        found = self.rows(again)
        first = int(self.person.max(initial=-1)) + 1
        fresh = first + np.arange(again.size)
        person = np.where(found.person < 0, fresh, found.person)
        return _Answers(found.chain, found.seen, person.astype(np.intp), np.ones(again.size))


def replicated(structure: Structure, draws: Parameters, rng: np.random.Generator) -> Replicates:
    """Draw the scores of the same answers again, as their scorers would read them, each participant with an own effect.

    Answers that belong to nobody are drawn as cell means: exactly for scores of 0 and 1.

    Parameters
    ----------
    structure : Structure
    draws : Parameters
        n draws, one replication each.
    rng : Generator
    """
    terms = structure.terms
    cells, cell = np.unique(np.stack([terms.response, terms.group, terms.item]), axis=1, return_inverse=True)
    cell = np.append(cell, cells.shape[1])
    spelt = _spelt(structure)
    size, observed = _sums(spelt, cell, np.nan_to_num(np.append(_observed(structure), 0.0))[spelt.chain])
    single = _one_by_one(structure, spelt)
    total = _by_person(structure, draws, spelt.repeated(single), cell, rng)
    total += _by_cell(structure, draws, spelt.rows(~single), cell, rng)
    kept = size > 0
    response, group, item = (row[kept] for row in cells)
    return Replicates(response, group, item, size[kept], observed[kept] / size[kept], total[:, kept] / size[kept])


def _sums(spelt: _Answers, cell: Codes, score: Array) -> tuple[Array, Array]:
    """How many scores each cell has, and their sum, each of shape (L,)."""
    weight = spelt.times[:, None] * spelt.seen
    own = cell[spelt.chain].ravel()
    last = int(cell.max()) + 1
    return tuple(np.bincount(own, one.ravel(), last)[:-1] for one in (weight, weight * score))  # type: ignore[return-value]


def _one_by_one(structure: Structure, spelt: _Answers) -> npt.NDArray[np.bool_]:
    """Answers whose scores are drawn singly: those of participants, and those that are not all 0 or 1."""
    fractional = np.array([*(one.scale != "binary" for one in structure.responses), False])
    response = np.append(structure.terms.response, -1)[spelt.chain]
    return np.asarray((spelt.person >= 0) | fractional[response].any(axis=1))


def _spelt(structure: Structure) -> _Answers:
    """Each answer by itself with its participant, or once with its count where it is nobody's."""
    first = structure.answers[:, 0]
    chain = np.where(first < 0, structure.terms.size, first)
    every = np.where(structure.answers < 0, structure.terms.size, structure.answers)
    score = np.append(_observed(structure), np.nan)[every]
    exists = (structure.answers >= 0).any(axis=2)
    same = np.where(exists[:, :, None], score == score[:, :1], True).all(axis=1)
    seen = (chain < structure.terms.size) & same
    people = np.repeat(structure.people, structure.alike.astype(np.intp), axis=0)
    place = people.ravel()
    person = np.repeat(np.arange(people.shape[0]), people.shape[1] if people.size else 0)
    inside = place < structure.answers.shape[0]
    alone = np.flatnonzero(structure.alone > 0)
    which = np.concatenate([place[inside], alone]).astype(np.intp)
    times = np.concatenate([np.ones(int(inside.sum())), structure.alone[alone]])
    owner = np.concatenate([person[inside], np.full(alone.size, -1)]).astype(np.intp)
    return _Answers(chain[which], seen[which], owner, times)


def _observed(structure: Structure) -> Array:
    """Score of each term as it was read; NaN where a scorer that errs read none."""
    terms = structure.terms
    judged = np.array([bool(one.scorer) for one in structure.responses])[terms.response]
    return np.where(judged, np.where(terms.reading == UNREAD, np.nan, terms.reading % 2), terms.score)


def _levels(structure: Structure, draws: Parameters) -> Array:
    """Predictor of each term without previous score and participant, and a last column for none, shape (n, T + 1)."""
    predictor, terms = Predictor.of(structure), structure.terms
    found = np.zeros((draws.size, terms.size + 1))
    for place, one in enumerate(structure.responses):
        for group in range(len(one.groups)):
            level = predictor.level(draws, place, group, draws.items)
            rows = np.flatnonzero((terms.response == place) & (terms.group == group))
            found[:, rows] = level[:, terms.item[rows]]
        for code, state in enumerate(STATES):
            rows = np.flatnonzero((terms.response == place) & (terms.state == code))
            if rows.size:
                found[:, rows] += predictor.shift(draws, place, state)[:, None]
    return found


def _by_person(
    structure: Structure, draws: Parameters, spelt: _Answers, cell: Codes, rng: np.random.Generator
) -> Array:
    """Sums of replicated scores by cell, shape (n, L): participants drawn, answers followed along their chains."""
    predictor, terms = Predictor.of(structure), structure.terms
    level = _levels(structure, draws)
    width = int(cell.max())
    response = np.append(terms.response, -1)
    carried = np.append(terms.state == STATES.index("previous"), False)
    total = np.zeros((draws.size, width))
    people = int(spelt.person.max(initial=-1)) + 1
    for draw in range(draws.size):
        one = draws.rows(np.array([draw]))
        effect = rng.standard_normal(people)[spelt.person]
        score = np.full(spelt.person.size, 0.5)
        for column in range(spelt.chain.shape[1]):
            term = spelt.chain[:, column]
            here = response[term]
            drawn, told = np.zeros(term.size), np.zeros(term.size)
            for place, _ in enumerate(structure.responses):
                rows = np.flatnonzero(here == place)
                if rows.size:
                    eta = level[draw, term[rows]] + predictor.spread(one, place)[0] * effect[rows]
                    slope = predictor.carry(one, place)[0] if carried[term[rows]].any() else 0.0
                    eta = eta + slope * np.where(carried[term[rows]], score[rows] - 0.5, 0.0)
                    drawn[rows] = _scored(structure, one, place, eta, rng)
                    told[rows] = _read(structure, one, place, drawn[rows], rng)
            total[draw] += np.bincount(cell[term], told * spelt.seen[:, column], width + 1)[:-1]
            score = np.where(here >= 0, drawn, score)
    return total


def _scored(structure: Structure, draws: Parameters, place: int, eta: Array, rng: np.random.Generator) -> Array:
    """One score at each predictor."""
    one = structure.responses[place]
    if one.scale == "binary":
        return np.asarray(rng.random(eta.size) < special.expit(eta), dtype=np.float64)
    if one.scale == "ordinal":
        cuts = np.concatenate([[0.0], np.cumsum(draws.shape[one.name][0])])
        above = (rng.logistic(size=eta.size) + eta)[:, None] >= cuts
        return np.asarray(one.levels)[above.sum(axis=1)]
    shape = float(draws.shape[one.name][0])
    if one.scale == "bounded":
        mean = np.clip(special.expit(eta), 1e-6, 1 - 1e-6)
        return rng.beta(mean * shape, (1 - mean) * shape)
    return rng.normal(0.5 + eta / 4, shape)


def _read(structure: Structure, draws: Parameters, place: int, true: Array, rng: np.random.Generator) -> Array:
    """What the response's scorer makes of true scores; they themselves where it does not err."""
    if not structure.responses[place].scorer:
        return true
    chance = _chance_of_right(structure, draws, place, true[None])[0]
    return np.asarray(rng.random(true.size) < chance, dtype=np.float64)


def _chance_of_right(structure: Structure, draws: Parameters, place: int, chance: Array) -> Array:
    """From the chance of a true 1 to that of an observed 1, each of shape (n, L)."""
    scorer = structure.responses[place].scorer
    if not scorer:
        return chance
    which = [one.scorer for one in structure.scorers].index(scorer)
    sensitivity, specificity = draws.sensitivity[:, which, None], draws.specificity[:, which, None]
    return np.asarray(sensitivity * chance + (1 - specificity) * (1 - chance))


def _by_cell(structure: Structure, draws: Parameters, spelt: _Answers, cell: Codes, rng: np.random.Generator) -> Array:
    """Sums of replicated scores of 0 and 1 by cell, shape (n, L): answers that are nobody's are independent."""
    predictor = Predictor.of(structure)
    total = np.zeros((draws.size, int(cell.max())))
    effect = np.zeros((len(structure.items) + 1, 1))
    for (state, path), sizes in _paths(structure, spelt, cell).items():
        chance = walk(predictor, draws, path, draws.items, effect, rng, STATES[state])[-1].mean[:, :, 0]
        chance = _chance_of_right(structure, draws, path[-1][0], chance)
        for (column, item), size in sizes.items():
            total[:, column] += rng.binomial(round(size), np.clip(chance[:, item], 0.0, 1.0))
    return total


type _Path = tuple[int, tuple[tuple[int, int], ...]]


def _paths(structure: Structure, spelt: _Answers, cell: Codes) -> dict[_Path, dict[tuple[int, int], float]]:
    """For each way through the stages that answers take, how many scores it ends with, by cell and item."""
    terms = structure.terms
    found: dict[_Path, dict[tuple[int, int], float]] = {}
    for chain, seen, times in zip(spelt.chain, spelt.seen, spelt.times, strict=True):
        path: tuple[tuple[int, int], ...] = ()
        state = 0
        for term in chain[chain < terms.size]:
            if terms.state[term] != STATES.index("previous"):
                path, state = (), int(terms.state[term])
            path = (*path, (int(terms.response[term]), int(terms.group[term])))
            if seen[np.flatnonzero(chain == term)[0]]:
                sizes = found.setdefault((state, path), {})
                key = (int(cell[term]), int(terms.item[term]))
                sizes[key] = sizes.get(key, 0.0) + float(times)
    return found
