"""The data of the hierarchical model as arrays: regressions, their terms, answers made of terms, people of answers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from rctgap.error_rates import ErrorRates
from rctgap.stages import Scale

__all__ = [
    "NO_ITEM",
    "STATES",
    "UNREAD",
    "Response",
    "Structure",
    "Terms",
    "answers_index",
    "people_index",
    "reading",
]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]

STATES = ("previous", "start", "non_user")
NO_ITEM = -1
UNREAD = -1
REACH = 4.5
WIDEST = 0.65


@dataclass(frozen=True, slots=True)
class Response:
    """One regression: the scores of a stage, of the benchmark, of the control arm, or whether the system was used.

    Attributes
    ----------
    name : str
    scale : {"binary", "ordinal", "bounded", "unbounded"}
        Cumulative logit for the first two, beta and normal for fractional scores.
    levels : tuple of float
        Scores of the levels in ascending order, where there are levels.
    groups : tuple of str
        Arms, or systems of the benchmark.
    states : tuple of str
        What comes before: a previous score, nothing (`start`), or never having used the system.
    items : bool
        Whether some of its rows name their item.
    margins : tuple of int
        Groups with rows that name no item, which get a mean of their own.
    tied : bool
        Whether participants answer more than once, so that they have effects.
    scorer : str
        Whose errors its scores carry; empty where they are taken as true.
    """

    name: str
    scale: Scale
    levels: tuple[float, ...]
    groups: tuple[str, ...]
    states: tuple[str, ...]
    items: bool
    margins: tuple[int, ...]
    tied: bool
    scorer: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """Distinct factors of the likelihood, arrays of shape (T,).

    Attributes
    ----------
    response, group, item, state : ndarray of int
        `item` is `NO_ITEM` where the row names none; `state` is a position in `STATES`.
    previous, score : ndarray
        Score of the stage before (one half where there is none) and of this one.
    level : ndarray of int
        Position of the score among the levels; 0 for fractional scores.
    reading : ndarray of int
        What a scorer that errs made of the score, as of `reading`; `UNREAD` where none did.
    """

    response: Codes
    group: Codes
    item: Codes
    state: Codes
    previous: Array
    score: Array
    level: Codes
    reading: Codes

    @property
    def size(self) -> int:
        """Number of terms."""
        return self.response.size

    def rows(self, where: npt.NDArray[np.generic]) -> "Terms":
        """Some of the terms."""
        return Terms(*(getattr(self, one.name)[where] for one in fields(self)))


@dataclass(frozen=True, slots=True)
class Structure:
    """Everything that the model is conditioned on.

    Attributes
    ----------
    responses : tuple of Response
    items : tuple of str
    terms : Terms
    answers : ndarray of int, shape (N, C, K)
        Terms of each distinct answer or run, up to K; C ways to complete its missing scores.
        The position after the last term stands for nothing, -1 for a completion that does not exist.
    alone : ndarray, shape (N,)
        How often each occurs by itself: all of them without participants, else the benchmark's runs.
    people : ndarray of int, shape (P, A)
        Answers of each distinct participant, up to A; N stands for nothing.
    alike : ndarray, shape (P,)
        Participants with the same answers.
    scorers : tuple of ErrorRates
        Scorers that err. The true score behind what one of them read is missing, and the answer is completed both ways.
    """

    responses: tuple[Response, ...]
    items: tuple[str, ...]
    terms: Terms
    answers: Codes
    alone: Array
    people: Codes
    alike: Array
    scorers: tuple[ErrorRates, ...] = ()

    @property
    def itemised(self) -> tuple[int, ...]:
        """Responses that have item effects: none where there is a single item."""
        if len(self.items) < 2:  # noqa: PLR2004 - one item has no spread
            return ()
        return tuple(place for place, one in enumerate(self.responses) if one.items)

    @property
    def tied(self) -> tuple[int, ...]:
        """Responses that participants have effects on."""
        return tuple(place for place, one in enumerate(self.responses) if one.tied)

    @property
    def grid(self) -> tuple[Array, Array]:
        """Points of a standard normal participant effect and their masses, each of shape (Q,); zero where none is tied.

        Evenly spaced, the closer the more scores the most diligent participant has: what n binary scores leave open of
        an effect with a spread of 2 logits is about 1 / sqrt(n). Gauss-Hermite points thin out as their number grows,
        and need twice as many from ten scores on.
        """
        if not self.tied:
            return np.zeros(1), np.ones(1)
        held = (self.answers[:, 0] >= 0) & (self.answers[:, 0] < self.terms.size)
        scores = np.append(held.sum(axis=1), 0)[self.people].sum(axis=1)
        half = int(np.ceil(REACH / min(WIDEST, 2 / np.sqrt(scores.max(initial=1)))))
        points = np.linspace(-REACH, REACH, 2 * half + 1)
        masses = np.exp(-0.5 * points**2)
        return points, masses / masses.sum()

    def untied(self) -> "Structure":
        """The same answers as if each were from another participant."""
        inside = self.people[self.people < self.answers.shape[0]]
        times = np.repeat(self.alike[:, None], self.people.shape[1], axis=1)[self.people < self.answers.shape[0]]
        alone = self.alone + np.bincount(inside, times, self.answers.shape[0])
        responses = tuple(replace(one, tied=False) for one in self.responses)
        return replace(
            self,
            responses=responses,
            alone=alone,
            people=np.empty((0, 0), dtype=np.intp),
            alike=np.empty(0),
        )


def reading(scorer: int, true: float, observed: float) -> int:
    """Position of a reading among the four of each scorer: (true, observed) is (0, 0), (0, 1), (1, 0), (1, 1)."""
    return 4 * scorer + 2 * round(true) + round(observed)


def answers_index(answers: Sequence[tuple[tuple[int, ...], ...]], nothing: int) -> Codes:
    """Answers as one array of term positions: -1 in completions that an answer does not have."""
    ways = max((len(one) for one in answers), default=1)
    longest = max((len(way) for one in answers for way in one), default=1)
    index = np.full((len(answers), ways, max(longest, 1)), -1, dtype=np.intp)
    for row, one in enumerate(answers):
        for column, way in enumerate(one):
            index[row, column] = nothing
            index[row, column, : len(way)] = way
    return index


def people_index(held: Sequence[tuple[str | None, int, int]], nothing: int) -> tuple[Codes, Array]:
    """Distinct participants as rows of answer positions, and how many are alike."""
    by_person: dict[str | None, list[int]] = {}
    for person, place, count in held:
        by_person.setdefault(person, []).extend([place] * count)
    distinct = Counter(tuple(sorted(places)) for places in by_person.values())
    longest = max((len(places) for places in distinct), default=0)
    people = np.full((len(distinct), longest), nothing, dtype=np.intp)
    for row, places in enumerate(distinct):
        people[row, : len(places)] = places
    return people, np.array(list(distinct.values()), dtype=np.float64)
