"""Terms of the likelihood as they are met, and the arrays that they become."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rctgap.error_rates import ErrorRates
from rctgap.models.structure import (
    NO_ITEM,
    STATES,
    UNREAD,
    Response,
    Structure,
    Terms,
    answers_index,
    people_index,
    reading,
)
from rctgap.stages import Chain, Scale

__all__ = ["FINITE", "USED", "Key", "Kinds", "Tally", "structure_of"]

USED = "used"
FINITE = ("binary", "ordinal")


class Key(NamedTuple):
    """A term before it has a number; `observed` is what a scorer that errs read."""

    response: str
    group: str
    item: str | None
    state: str
    previous: float
    score: float
    observed: float | None = None


@dataclass(frozen=True, slots=True)
class Kinds:
    """What every stage's scores are: scale, levels, how many are moved inside, and the scorer where it errs."""

    scales: Mapping[str, Scale]
    levels: Mapping[str, tuple[float, ...]]
    squeezed: Mapping[str, int]
    scorer: Mapping[str, str]

    def ways(self, name: str, value: float) -> tuple[tuple[float, float | None], ...]:
        """True scores that a score may stand for, each with what was read of it; every level where it is missing."""
        if np.isnan(value):
            return tuple((level, None) for level in self.levels[name])
        if name in self.scorer:
            return tuple((level, value) for level in self.levels[name])
        return ((self.inside(name, value), None),)

    def inside(self, name: str, value: float) -> float:
        """Fractional scores of exactly 0 or 1 moved inside (Smithson and Verkuilen 2006)."""
        size = self.squeezed.get(name)
        return value if size is None or np.isnan(value) else (value * (size - 1) + 0.5) / size


@dataclass(slots=True)
class Tally:
    """Numbers for terms and answers as they are first met."""

    terms: dict[Key, int]
    answers: dict[tuple[tuple[int, ...], ...], int]
    alone: Counter[int]

    def answer(self, completions: Sequence[Sequence[Key]]) -> int:
        """Position of an answer, given the terms of each way to complete it."""
        coded = tuple(tuple(self.terms.setdefault(key, len(self.terms)) for key in one) for one in completions)
        return self.answers.setdefault(coded, len(self.answers))


def structure_of(
    chain: Chain,
    tally: Tally,
    held: Sequence[tuple[str | None, int, int]],
    kinds: Kinds,
    tied: bool,
    scorers: tuple[ErrorRates, ...],
) -> Structure:
    """Terms and answers as arrays.

    Parameters
    ----------
    chain : Chain
    tally : Tally
    held : sequence of (participant, answer, count)
        Empty where answers belong to nobody, or each to a participant of its own.
    kinds : Kinds
    tied : bool
        Whether participants have effects.
    scorers : tuple of ErrorRates
        Those of `kinds.scorer`.
    """
    items = sorted({key.item for key in tally.terms if key.item is not None})
    # One item has no spread: its rows get the means of rows that name none.
    keys = [key._replace(item=None) for key in tally.terms] if len(items) == 1 else list(tally.terms)
    responses = _responses(chain, keys, kinds, tied)
    places = {one.name: place for place, one in enumerate(responses)}
    item_place = {item: place for place, item in enumerate(items)}
    score = np.array([key.score for key in keys])
    terms = Terms(
        np.array([places[key.response] for key in keys], dtype=np.intp),
        np.array([responses[places[key.response]].groups.index(key.group) for key in keys], dtype=np.intp),
        np.array([NO_ITEM if key.item is None else item_place[key.item] for key in keys], dtype=np.intp),
        np.array([STATES.index(key.state) for key in keys], dtype=np.intp),
        np.array([key.previous for key in keys]),
        score,
        np.array([_level(responses[places[key.response]], key.score) for key in keys], dtype=np.intp),
        np.array([_reading(responses[places[key.response]], key, scorers) for key in keys], dtype=np.intp),
    )
    answers = answers_index(list(tally.answers), len(keys))
    people, alike = people_index(held, len(tally.answers))
    alone = np.array([tally.alone.get(place, 0) for place in range(len(tally.answers))], dtype=np.float64)
    return Structure(responses, tuple(items), terms, answers, alone, people, alike, scorers)


def _level(one: Response, score: float) -> int:
    return one.levels.index(score) if one.levels else 0


def _reading(one: Response, key: Key, scorers: Sequence[ErrorRates]) -> int:
    if key.observed is None:
        return UNREAD
    return reading([scorer.scorer for scorer in scorers].index(one.scorer), key.score, key.observed)


def _responses(chain: Chain, terms: Sequence[Key], kinds: Kinds, tied: bool) -> tuple[Response, ...]:
    """The regressions, benchmark first, control last."""
    met: dict[str, list[Key]] = {}
    for key in terms:
        met.setdefault(key.response, []).append(key)
    order = [chain.first, USED, *chain.names[1:], f"control_{chain.last}"]
    found = []
    for name in [one for one in order if one in met]:
        keys = met[name]
        stage = chain.last if name.startswith("control_") and name not in chain.names else name
        scale: Scale = "binary" if name == USED else kinds.scales[stage]
        groups = tuple(dict.fromkeys(key.group for key in keys))
        bare = tuple(sorted({groups.index(key.group) for key in keys if key.item is None}))
        states = tuple(one for one in STATES if any(key.state == one for key in keys))
        finite = () if scale not in FINITE else ((0.0, 1.0) if name == USED else kinds.levels[stage])
        on_answers = name == USED or name not in chain.names or chain[name].source != "benchmark"
        itemised = any(key.item is not None for key in keys)
        scorer = "" if name == USED else kinds.scorer.get(stage, "")
        found.append(Response(name, scale, finite, groups, states, itemised, bare, tied and on_answers, scorer))
    return tuple(found)
