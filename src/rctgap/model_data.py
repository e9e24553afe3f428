"""Stage scores as the arrays of the hierarchical model: who answered what, and which regression a score belongs to."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd

from rctgap.documents import nearest
from rctgap.error_rates import ErrorRates
from rctgap.errors import EstimationError, Fault
from rctgap.models.structure import Structure
from rctgap.models.terms import FINITE, USED, Key, Kinds, Tally, structure_of
from rctgap.patterns import run_rows
from rctgap.scores import StageScores, stages_in_use
from rctgap.stages import Scale

__all__ = ["USED", "ModelData", "model_data"]

type Array = npt.NDArray[np.float64]

SHARED = "any system"
CENTRE = 0.5


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
        Scores that are weighted for missing ones, or ordered scores that are all the same; error rates of a stage that
        is not of the chain or whose scores are not all 0 or 1, of a scorer that does no better than chance, or of one
        scorer that differ between stages.
    """
    _refuse_weighted(scores)
    segments = _segments(scores)
    idle = tuple(label for label in segments if not bool(_rows(scores, label)["used"].all()))
    scales, squeezed = _scales(scores)
    kinds = Kinds(scales, _levels(scores), squeezed, {stage: one.scorer for stage, one in scores.error_rates.items()})
    scorers = _scorers(scores, scales)
    tally = Tally({}, {}, Counter())
    cut = 0
    held: list[tuple[str | None, int, int]] = []
    for label, parts in segments.items():
        for person, count, completions, lost in _answers(scores, label, parts, kinds, label in idle):
            cut += lost
            if completions != [[]]:
                held.append((person, tally.answer(completions), count))
    control = _control(scores, tally, held, kinds)
    tied = scores.participants and _repeated(held)
    if not tied:
        for _, place, count in held:
            tally.alone[place] += count
    benchmark = _runs(scores, tally, kinds)
    structure = structure_of(scores.chain, tally, held if tied else [], kinds, tied, scorers)
    return ModelData(structure, segments, benchmark, control, idle, tuple(_notes(scores, kinds, cut, tied)))


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


def _scorers(scores: StageScores, scales: Mapping[str, Scale]) -> tuple[ErrorRates, ...]:
    """Scorers that err, each once."""
    found: dict[str, ErrorRates] = {}
    for stage, one in scores.error_rates.items():
        fault = None
        if stage not in scores.chain.names:
            fault = Fault("error rates of a stage that is not in the chain", nearest(stage, scores.chain.names))
        elif scales[stage] != "binary":
            what = f"the scorer of stage {stage!r} has error rates, and its scores are not all 0 or 1"
            fault = Fault(what, "Give error rates of yes-or-no scores only, or score the stage as right or wrong")
        elif one.sensitivity + one.specificity <= 1:
            what = f"scorer {one.scorer!r} does no better than chance: {one.sensitivity:.3f} + {one.specificity:.3f}"
            fault = Fault(what, "Sensitivity and specificity must sum to more than 1: use another scorer")
        elif found.setdefault(one.scorer, one) != one:
            what = f"scorer {one.scorer!r} has other labelled cases at {stage!r} than at an earlier stage"
            fault = Fault(what, "Give a scorer the same counts at all its stages, or names of its own to each")
        if fault is not None:
            raise EstimationError(replace(fault, place=f"error_rates.{stage}"))
    return tuple(found.values())


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


def _answers(
    scores: StageScores,
    label: str,
    parts: Sequence[Sequence[str]],
    kinds: Kinds,
    idle: bool,
) -> Iterator[tuple[str | None, int, list[list[Key]], int]]:
    """Participant, count, completions and scores lost, of each distinct answer of an arm."""
    frame = _rows(scores, label)
    last = scores.chain.last
    names = [name for part in parts for name in part]
    columns = ["participant", "item", "used", "marginal", "count", *names]
    for person, item, used, only, count, *values in frame[columns].itertuples(index=False, name=None):
        where = None if pd.isna(item) else str(item)
        who = None if pd.isna(person) else str(person)
        found = dict(zip(names, values, strict=True))
        once = not only or only == names[-1]  # marginal counts repeat an answer at every stage
        use = [Key(USED, label, None, "start", CENTRE, float(used))] if idle and once else []
        if not used:
            final = found.get(last, np.nan)
            ways = () if np.isnan(final) else kinds.ways(last, final)
            told = [[*use, Key(last, label, where, "non_user", CENTRE, *way)] for way in ways] or [use]
            if told != [[]]:
                yield who, round(count), told, 0
            continue
        for part in parts:
            completions, lost = _completed(label, where, part, [found[name] for name in part], kinds)
            whole = [use + one for one in completions]
            use = []
            if lost or whole != [[]]:
                yield who, round(count), whole, lost * round(count)


def _completed(
    label: str,
    item: str | None,
    names: Sequence[str],
    values: Sequence[float],
    kinds: Kinds,
) -> tuple[list[list[Key]], int]:
    """Terms of one answer, for each way that the true scores up to its last known one may have been."""
    known = [place for place, value in enumerate(values) if not np.isnan(value)]
    end = known[-1] + 1 if known else 0
    gap = next((p for p in range(end) if np.isnan(values[p]) and kinds.scales[names[p]] not in FINITE), end)
    choices = [kinds.ways(name, value) for name, value in zip(names[:gap], values, strict=False)]
    lost = sum(place >= gap for place in known)
    return [_chained(label, item, names, filled) for filled in product(*choices)], lost


def _chained(
    label: str, item: str | None, names: Sequence[str], ways: Sequence[tuple[float, float | None]]
) -> list[Key]:
    return [
        Key(name, label, item, "previous" if place else "start", ways[place - 1][0] if place else CENTRE, *way)
        for place, (name, way) in enumerate(zip(names, ways, strict=False))
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
    tally: Tally,
    held: list[tuple[str | None, int, int]],
    kinds: Kinds,
) -> str:
    label, last = scores.design.control, scores.chain.last
    if label is None:
        return ""
    name = f"control_{last}"
    frame = _rows(scores, label)
    for person, item, value, count in frame[["participant", "item", last, "count"]].itertuples(index=False, name=None):
        if not np.isnan(value):
            where = None if pd.isna(item) else str(item)
            ways = [[Key(name, label, where, "start", CENTRE, *way)] for way in kinds.ways(last, value)]
            held.append((None if pd.isna(person) else str(person), tally.answer(ways), round(count)))
    return name


def _runs(scores: StageScores, tally: Tally, kinds: Kinds) -> str:
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
            ways = [[Key(first.name, system, where, "start", CENTRE, *way)] for way in kinds.ways(first.name, score)]
            tally.alone[tally.answer(ways)] += round(count)
    return first.name


def _repeated(held: Sequence[tuple[str | None, int, int]]) -> bool:
    people: Counter[str | None] = Counter()
    for person, _, count in held:
        people[person] += count
    return max(people.values(), default=0) > 1


def _notes(scores: StageScores, kinds: Kinds, cut: int, tied: bool) -> Iterator[str]:
    if not scores.participants:
        yield "Participants are not identified: the model has no participant effects, and answers count as independent."
    elif not tied:
        yield "Nobody answered more than once: the model has no participant effects."
    for name, scale in kinds.scales.items():
        if scale != "binary":
            yield f"Scores of {name} are modelled as {scale}."
    for name, size in kinds.squeezed.items():
        yield f"Scores of {name} of exactly 0 or 1 were moved inside by half a score in {size}: a beta needs it."
    if cut:
        yield f"{cut} fractional scores that follow a missing one in the same answer do not enter the model."
    for name, one in scores.error_rates.items():
        rates = f"sensitivity {one.sensitivity:.2f} and specificity {one.specificity:.2f}"
        yield (
            f"Scores of {name} are readings of {one.scorer}, which errs ({rates} over its labelled cases): the model "
            "is of the true scores behind them, and takes the scorer to err alike in all arms, items and stages."
        )
    if scores.covariates:
        yield "The model does not adjust for covariates."
