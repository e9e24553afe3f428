"""Stage scores as the arrays of the hierarchical model: who answered what, and which regression a score belongs to."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from rctgap.errors import EstimationError, Fault
from rctgap.models.structure import NO_ITEM, STATES, Response, Structure, Terms, answers_index, people_index
from rctgap.patterns import run_rows
from rctgap.scores import StageScores, stages_in_use
from rctgap.stages import Scale

__all__ = ["USED", "ModelData", "model_data"]

type Array = npt.NDArray[np.float64]

USED = "used"
SHARED = "any system"
CENTRE = 0.5
FINITE = ("binary", "ordinal")


@dataclass(frozen=True, slots=True)
class ModelData:
    """The structure of the model, and where each arm's stages are found in it.

    Attributes
    ----------
    structure : Structure
    segments : mapping of arm to tuple of tuple of str
        Stages of the arm's own rows, those that are joined on the answer together.
    benchmark : str
        Name of the benchmark stage; empty where the first stage is on answers.
    control : str
        Name of the control arm's response; empty without one.
    idle : tuple of str
        Arms with answers of participants who never used the system.
    notes : tuple of str
    """

    structure: Structure
    segments: Mapping[str, tuple[tuple[str, ...], ...]]
    benchmark: str
    control: str
    idle: tuple[str, ...]
    notes: tuple[str, ...]

    def place(self, response: str) -> int:
        """Position of a response."""
        return next(place for place, one in enumerate(self.structure.responses) if one.name == response)

    def group(self, response: str, label: str) -> int:
        """Position of an arm or system in a response; a system without runs of its own has those that name none."""
        groups = self.structure.responses[self.place(response)].groups
        return groups.index(label if label in groups else SHARED)


class _Key(NamedTuple):
    """A term before it has a number."""

    response: str
    group: str
    item: str | None
    state: str
    previous: float
    score: float


@dataclass(slots=True)
class _Tally:
    """Numbers for terms and answers as they are first met."""

    terms: dict[_Key, int]
    answers: dict[tuple[tuple[int, ...], ...], int]
    alone: Counter[int]

    def answer(self, completions: Sequence[Sequence[_Key]]) -> int:
        """Position of an answer, given the terms of each way to complete it."""
        coded = tuple(tuple(self.terms.setdefault(key, len(self.terms)) for key in one) for one in completions)
        return self.answers.setdefault(coded, len(self.answers))


def model_data(scores: StageScores) -> ModelData:
    """The scores of a trial as the hierarchical model takes them.

    Parameters
    ----------
    scores : StageScores
        As they are: non-users are found by `used`, missing scores are left missing.

    Returns
    -------
    ModelData

    Raises
    ------
    EstimationError
        Scores that are weighted for missing ones, or ordered scores that are all the same.
    """
    _refuse_weighted(scores)
    segments = _segments(scores)
    idle = tuple(label for label in segments if not bool(_rows(scores, label)["used"].all()))
    scales, squeezed = _scales(scores)
    tally = _Tally({}, {}, Counter())
    cut = 0
    held: list[tuple[str | None, int, int]] = []
    for label, parts in segments.items():
        for person, count, completions, lost in _answers(scores, label, parts, scales, squeezed, label in idle):
            cut += lost
            if completions != [[]]:
                held.append((person, tally.answer(completions), count))
    control = _control(scores, tally, held, squeezed)
    tied = scores.participants and _repeated(held)
    if not tied:
        for _, place, count in held:
            tally.alone[place] += count
    benchmark = _runs(scores, tally, squeezed)
    structure = _structure(scores, tally, held if tied else [], scales, tied)
    return ModelData(structure, segments, benchmark, control, idle, tuple(_notes(scores, scales, squeezed, cut, tied)))


def _refuse_weighted(scores: StageScores) -> None:
    if scores.unpaired:
        arm, stage = next(iter(scores.unpaired))
        raise EstimationError(
            Fault(
                f"scores at {stage!r} in arm {arm!r} are weighted for missing ones, and are no longer answers' own",
                "Hand over the scores as they are: the model itself averages over those that are missing",
                place="missing",
            )
        )


def _segments(scores: StageScores) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Stages of each arm's own rows, split where the chain is broken by a borrowed stage or by marginal counts."""
    chain, found = scores.chain, {}
    used = [pair for pair in stages_in_use(chain, scores.design) if pair[0] != scores.design.control]
    for label in dict.fromkeys(arm for arm, _ in used):
        own = [name for name in chain.names if (label, name) in used]
        parts: list[tuple[str, ...]] = []
        for name in own:
            before = chain.names[chain.names.index(name) - 1]
            joined = bool(parts) and parts[-1][-1] == before and scores.paired
            parts = [*parts[:-1], (*parts[-1], name)] if joined else [*parts, (name,)]
        found[label] = tuple(parts)
    return found


def _rows(scores: StageScores, label: str) -> pd.DataFrame:
    frame = scores.answers
    return frame[frame["arm"] == label]


def _scales(scores: StageScores) -> tuple[dict[str, Scale], dict[str, int]]:
    """Scale of each stage, and for bounded ones with a score of exactly 0 or 1 how many scores they have."""
    scales: dict[str, Scale] = {}
    squeezed: dict[str, int] = {}
    for name in scores.chain.names:
        values, counts = _values(scores, name)
        whole = bool(np.isin(values, (0.0, 1.0)).all())
        scales[name] = "binary" if whole else scores.scales.get(name, "bounded")
        if scales[name] == "ordinal" and np.unique(values).size == 1:
            what = f"every score at {name!r} is the same, so nothing tells its thresholds"
            allowed = "Leave the stage out of the chain, or use the Bayesian bootstrap"
            raise EstimationError(Fault(what, allowed, place=f"stages.{name}", value=f"{values[0]:g}"))
        if scales[name] == "bounded" and bool(np.isin(values, (0.0, 1.0)).any()):
            squeezed[name] = int(counts.sum())
    return scales, squeezed


def _values(scores: StageScores, name: str) -> tuple[Array, Array]:
    """Distinct rows' scores of a stage and how many each stands for; those filled in for non-users are no scores."""
    benchmark = scores.chain[name].source == "benchmark"
    frame = scores.runs if benchmark else scores.answers
    column = frame["score" if benchmark else name]
    known = column.notna() if benchmark or name == scores.chain.last else column.notna() & frame["used"]
    return column[known].to_numpy(np.float64), frame.loc[known, "count"].to_numpy(np.float64)


def _squeeze(value: float, name: str, squeezed: Mapping[str, int]) -> float:
    """Fractional scores of exactly 0 or 1 moved inside (Smithson and Verkuilen 2006)."""
    size = squeezed.get(name)
    return value if size is None or np.isnan(value) else (value * (size - 1) + 0.5) / size


def _answers(
    scores: StageScores,
    label: str,
    parts: Sequence[Sequence[str]],
    scales: Mapping[str, Scale],
    squeezed: Mapping[str, int],
    idle: bool,
) -> Iterator[tuple[str | None, int, list[list[_Key]], int]]:
    """Participant, count, completions and scores lost, of each distinct answer of an arm."""
    frame = _rows(scores, label)
    last, levels = scores.chain.last, _levels(scores)
    names = [name for part in parts for name in part]
    columns = ["participant", "item", "used", "marginal", "count", *names]
    for person, item, used, only, count, *values in frame[columns].itertuples(index=False, name=None):
        where = None if pd.isna(item) else str(item)
        who = None if pd.isna(person) else str(person)
        found = {name: _squeeze(value, name, squeezed) for name, value in zip(names, values, strict=True)}
        once = not only or only == names[-1]  # marginal counts repeat an answer at every stage
        use = [_Key(USED, label, None, "start", CENTRE, float(used))] if idle and once else []
        if not used:
            final = found.get(last, np.nan)
            told = [] if np.isnan(final) else [_Key(last, label, where, "non_user", CENTRE, final)]
            if use + told:
                yield who, round(count), [use + told], 0
            continue
        for part in parts:
            completions, lost = _completed(label, where, part, [found[name] for name in part], scales, levels)
            whole = [use + one for one in completions]
            use = []
            if lost or whole != [[]]:
                yield who, round(count), whole, lost * round(count)


def _completed(
    label: str,
    item: str | None,
    names: Sequence[str],
    values: Sequence[float],
    scales: Mapping[str, Scale],
    levels: Mapping[str, tuple[float, ...]],
) -> tuple[list[list[_Key]], int]:
    """Terms of one answer, for each way to fill the scores that are missing before its last one."""
    known = [place for place, value in enumerate(values) if not np.isnan(value)]
    end = known[-1] + 1 if known else 0
    gap = next((p for p in range(end) if np.isnan(values[p]) and scales[names[p]] not in FINITE), end)
    choices = [levels[name] if np.isnan(value) else (value,) for name, value in zip(names[:gap], values, strict=False)]
    lost = sum(place >= gap for place in known)
    return [_chained(label, item, names, filled) for filled in product(*choices)], lost


def _chained(label: str, item: str | None, names: Sequence[str], values: Sequence[float]) -> list[_Key]:
    return [
        _Key(name, label, item, "previous" if place else "start", values[place - 1] if place else CENTRE, value)
        for place, (name, value) in enumerate(zip(names, values, strict=False))
    ]


def _levels(scores: StageScores) -> dict[str, tuple[float, ...]]:
    """Distinct scores of each stage, ascending."""
    found = {}
    for name in scores.chain.names:
        values = np.unique(_values(scores, name)[0])
        whole = bool(np.isin(values, (0.0, 1.0)).all())
        found[name] = (0.0, 1.0) if whole else tuple(float(value) for value in values)
    return found


def _control(
    scores: StageScores,
    tally: _Tally,
    held: list[tuple[str | None, int, int]],
    squeezed: Mapping[str, int],
) -> str:
    label, last = scores.design.control, scores.chain.last
    if label is None:
        return ""
    name = f"control_{last}"
    frame = _rows(scores, label)
    for person, item, value, count in frame[["participant", "item", last, "count"]].itertuples(index=False, name=None):
        if not np.isnan(value):
            where = None if pd.isna(item) else str(item)
            key = _Key(name, label, where, "start", CENTRE, _squeeze(value, last, squeezed))
            held.append((None if pd.isna(person) else str(person), tally.answer([[key]]), round(count)))
    return name


def _runs(scores: StageScores, tally: _Tally, squeezed: Mapping[str, int]) -> str:
    first = scores.chain.stages[0]
    if first.source != "benchmark":
        return ""
    frame = scores.runs
    unnamed = frame["system"].fillna("").eq("")
    systems = list(dict.fromkeys(arm.tested for arm in scores.design.arms))
    sources = {system: run_rows(frame, system) & ~unnamed for system in systems} | {SHARED: unnamed}
    if len(systems) == 1:
        sources = {systems[0]: run_rows(frame, systems[0])}
    for system, mine in sources.items():
        part = frame[mine & frame["score"].notna()]
        for item, score, count in part[["item", "score", "count"]].itertuples(index=False, name=None):
            where = None if pd.isna(item) else str(item)
            key = _Key(first.name, system, where, "start", CENTRE, _squeeze(score, first.name, squeezed))
            tally.alone[tally.answer([[key]])] += round(count)
    return first.name


def _repeated(held: Sequence[tuple[str | None, int, int]]) -> bool:
    people: Counter[str | None] = Counter()
    for person, _, count in held:
        people[person] += count
    return max(people.values(), default=0) > 1


def _structure(
    scores: StageScores,
    tally: _Tally,
    held: Sequence[tuple[str | None, int, int]],
    scales: Mapping[str, Scale],
    tied: bool,
) -> Structure:
    items = sorted({key.item for key in tally.terms if key.item is not None})
    # One item has no spread: its rows get the means of rows that name none.
    keys = [key._replace(item=None) for key in tally.terms] if len(items) == 1 else list(tally.terms)
    responses = _responses(scores, keys, scales, tied)
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
    )
    answers = answers_index(list(tally.answers), len(keys))
    people, alike = people_index(held, len(tally.answers))
    alone = np.array([tally.alone.get(place, 0) for place in range(len(tally.answers))], dtype=np.float64)
    return Structure(responses, tuple(items), terms, answers, alone, people, alike)


def _level(one: Response, score: float) -> int:
    return one.levels.index(score) if one.levels else 0


def _responses(
    scores: StageScores, terms: Sequence[_Key], scales: Mapping[str, Scale], tied: bool
) -> tuple[Response, ...]:
    """The regressions, benchmark first, control last."""
    met: dict[str, list[_Key]] = {}
    for key in terms:
        met.setdefault(key.response, []).append(key)
    order = [scores.chain.first, USED, *scores.chain.names[1:], f"control_{scores.chain.last}"]
    levels = _levels(scores)
    found = []
    for name in [one for one in order if one in met]:
        keys = met[name]
        stage = scores.chain.last if name.startswith("control_") and name not in scores.chain.names else name
        scale: Scale = "binary" if name == USED else scales[stage]
        groups = tuple(dict.fromkeys(key.group for key in keys))
        bare = tuple(sorted({groups.index(key.group) for key in keys if key.item is None}))
        states = tuple(one for one in STATES if any(key.state == one for key in keys))
        finite = () if scale not in FINITE else ((0.0, 1.0) if name == USED else levels[stage])
        on_answers = name == USED or name not in scores.chain.names or scores.chain[name].source != "benchmark"
        itemised = any(key.item is not None for key in keys)
        found.append(Response(name, scale, finite, groups, states, itemised, bare, tied and on_answers))
    return tuple(found)


def _notes(
    scores: StageScores, scales: Mapping[str, Scale], squeezed: Mapping[str, int], cut: int, tied: bool
) -> Iterator[str]:
    if not scores.participants:
        yield "Participants are not identified: the model has no participant effects, and answers count as independent."
    elif not tied:
        yield "Nobody answered more than once: the model has no participant effects."
    for name, scale in scales.items():
        if scale != "binary":
            yield f"Scores of {name} are modelled as {scale}."
    for name in squeezed:
        size = squeezed[name]
        yield f"Scores of {name} of exactly 0 or 1 were moved inside by half a score in {size}: a beta needs it."
    if cut:
        yield f"{cut} fractional scores that follow a missing one in the same answer do not enter the model."
    if scores.covariates:
        yield "The model does not adjust for covariates."
