"""From texts to stage scores: logs and text columns, each through its stage's scorer, back onto the answers."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import pandas as pd

from rctgap.conversations import Conversation
from rctgap.dictionary import Table
from rctgap.documents import nearest
from rctgap.errors import DataError, Fault
from rctgap.fields import Field
from rctgap.gold_keys import Keys, Rows, table_rows
from rctgap.linkage import Linker
from rctgap.scorers.batches import score_all
from rctgap.scorers.key_facts import KeyFacts
from rctgap.scorers.protocol import Case, Score
from rctgap.scorers.scopes import is_whole, texts_in_scope
from rctgap.scoring_plan import KeyColumns, StageScoring
from rctgap.trial import AttritionStep, TrialData

__all__ = ["ScoredText", "ScoredTrial", "score_texts", "with_scores", "with_values"]

BATCH = 2000
USED = "used"
NO_SCORE = "the field holds no number in [0, 1]"
LOST = "a message that counts could not be read"
DIGITS = 16


@dataclass(frozen=True, slots=True)
class ScoredText:
    """The score of one answer, or benchmark run, at one stage.

    Attributes
    ----------
    stage : str
    table : {"trial", "benchmark"}
    row : int
        Of that table's file, counted from 1 below the header.
    arm, item : str
        Empty where the row names none; `arm` is empty for runs.
    conversation : str
        The log's name for it, where it comes from one.
    score : Score
    digest : str
        Of the texts that were scored, by which a human label finds them again; empty where the log brought the score.
    """

    stage: str
    table: str
    row: int
    arm: str
    item: str
    conversation: str
    score: Score
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ScoredTrial:
    """A trial whose answers and runs carry the scores of their texts.

    Attributes
    ----------
    trial : TrialData
        With a column for each scored stage, and `used` where logs say who wrote.
    plans : tuple of StageScoring
    texts : tuple of ScoredText
    linker : Linker or None
        What tied the logs to the answers, where there are logs.
    """

    trial: TrialData
    plans: tuple[StageScoring, ...]
    texts: tuple[ScoredText, ...]
    linker: Linker | None = None


def score_texts(
    trial: TrialData,
    plans: Sequence[StageScoring],
    conversations: Iterable[Conversation] = (),
    linker: Linker | None = None,
    executor: Executor | None = None,
) -> ScoredTrial:
    """Score every stage that is made of texts, and put the scores beside the answers.

    Parameters
    ----------
    trial : TrialData
    plans : sequence of StageScoring
        One for each stage that is scored here.
    conversations : iterable of Conversation
        Read once, in batches; needed where a plan's source is `conversations`.
    linker : Linker, optional
        Ties them to the answers.
    executor : concurrent.futures.Executor, optional
        For scorers; it never changes a score.

    Returns
    -------
    ScoredTrial
        Logs that find no answer, and answers without logs, are in its trial's attrition. Answers whose participants
        never wrote are marked as not having used the system, and have no score before the last stage.

    Raises
    ------
    DataError
        A text or key column that is missing, a key that cannot be read, a log that cannot be linked.
    """
    tables = table_rows(trial)
    texts: list[ScoredText] = []
    for plan in plans:
        if plan.source != "conversations":
            if plan.source not in tables:
                raise DataError(
                    Fault(
                        "this stage's texts are in the benchmark, and there is none",
                        "Name data.benchmark",
                        place=f"scoring.{plan.stage}",
                    )
                )
            texts.extend(_column(plan, tables[plan.source], trial, executor))
    logged = [plan for plan in plans if plan.source == "conversations"]
    if logged and linker is not None:
        texts.extend(_logs(logged, tables["trial"], conversations, linker, executor))
    used = linker if logged else None
    return ScoredTrial(with_scores(trial, plans, texts, used), tuple(plans), tuple(texts), used)


# ---------------------------------------------------------------- scores


def _column(plan: StageScoring, rows: Rows, trial: TrialData, executor: Executor | None) -> Iterator[ScoredText]:
    """Scores of a text column; blank cells have none."""
    if plan.text not in rows.frame:
        raise DataError(
            Fault(
                "the column with the texts is missing",
                nearest(plan.text, map(str, rows.frame.columns)),
                rows.file,
                plan.text,
            )
        )
    if plan.scorer is None:
        raise DataError(
            Fault(
                "scores that are there already need no scorer",
                "Name the column under stages[].score",
                place=f"scoring.{plan.stage}",
            )
        )
    texts = rows.frame[plan.text].astype("string")
    wanted = set(trial.design.labels) | {loan.arm for arm in trial.design.arms for loan in arm.borrowed} | {""}
    places = [row for row in range(len(texts)) if not pd.isna(texts.iloc[row]) and rows.arms[row] in wanted]
    keys = Keys(plan, rows)
    cases = (Case((str(texts.iloc[row]),), keys[row]) for row in places)
    for row, score in zip(places, score_all(plan.scorer, cases, executor), strict=True):
        digest = _digest((str(texts.iloc[row]),))
        yield ScoredText(plan.stage, rows.name, rows.numbers[row], rows.arms[row], rows.items[row], "", score, digest)


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\x1e".join(texts).encode("utf-8", "replace")).hexdigest()[:DIGITS]


def _logs(
    plans: Sequence[StageScoring],
    rows: Rows,
    conversations: Iterable[Conversation],
    linker: Linker,
    executor: Executor | None,
) -> Iterator[ScoredText]:
    """Scores of conversations, batch by batch, at every stage that is made of them."""
    keys = {plan.stage: Keys(plan, rows) for plan in plans if plan.scorer is not None}
    facts = {plan.stage: _Facts(plan, rows) for plan in plans if plan.facts}
    found: dict[tuple[str, int], ScoredText] = {}
    scores: Iterable[Score]
    for batch in itertools.batched(conversations, BATCH):
        matched = [(one, match.row) for one in batch if (match := linker.match(one)).fresh and match.row is not None]
        heard = [(one, row) for one, row in matched if linker.wrote(row)]
        for plan in plans:
            if plan.scorer is None:
                scored, digests = heard, [""] * len(heard)
                scores = (_given(one, plan.text) for one, _ in heard)
            else:
                scored = [
                    (one, row) for one, row in heard if plan.stage not in facts or facts[plan.stage].carried(one, row)
                ]
                texts = [texts_in_scope(one, plan.scope) for one, _ in scored]
                digests = [_digest(one) for one in texts]
                cases = (Case(one, keys[plan.stage][row]) for one, (_, row) in zip(texts, scored, strict=True))
                scores = score_all(plan.scorer, cases, executor)
            for (one, row), score, digest in zip(scored, scores, digests, strict=True):
                at = (rows.name, rows.numbers[row], rows.arms[row], rows.items[row], one.key)
                known = score if plan.scorer is None or is_whole(one, plan.scope) else Score(None, note=LOST)
                found[plan.stage, row] = ScoredText(plan.stage, *at, known, digest)
    yield from (found[place] for place in sorted(found))


class _Facts:
    """Which conversations begin with a message that carries enough of their item's key facts."""

    def __init__(self, plan: StageScoring, rows: Rows) -> None:
        self._at_least = plan.at_least
        self._keys = Keys(replace(plan, key=KeyColumns(plan.facts)), rows)

    def carried(self, one: Conversation, row: int) -> bool:
        """Whether the first message does."""
        case = Case(texts_in_scope(one, "first_user"), self._keys[row])
        share = next(KeyFacts().score([case])).value or 0.0
        return share >= self._at_least


def _given(one: Conversation, column: str) -> Score:
    """A score that the log itself carries."""
    try:
        value = float(one.links.get(column, ""))
    except ValueError:
        return Score(None, note=NO_SCORE)
    return Score(value) if 0 <= value <= 1 else Score(None, note=NO_SCORE)


# ---------------------------------------------------------------- back to the trial


def with_scores(
    trial: TrialData, plans: Sequence[StageScoring], texts: Sequence[ScoredText], linker: Linker | None
) -> TrialData:
    """The trial with a score column for each stage, and with who wrote.

    Raises
    ------
    DataError
        A column of a stage's name is there already.
    """
    by_stage: dict[str, dict[int, float | None]] = {plan.stage: {} for plan in plans}
    for one in texts:
        by_stage[one.stage][one.row] = one.score.value
    answers, runs, fields, run_fields = trial.answers, trial.runs, [], []
    for plan in plans:
        values = by_stage[plan.stage]
        if plan.source == "benchmark" and runs is not None:
            run_fields.append(_add(runs, plan, [values.get(row) for row in range(1, len(runs) + 1)]))
        else:
            fields.append(_add(answers, plan, [values.get(row) for row in trial.rows]))
    steps: tuple[AttritionStep, ...] = ()
    if linker is not None:
        steps = linker.attrition()
        fields += _mark_users(answers, trial, linker)
    runs_table = trial.runs_table
    return replace(
        trial,
        table=_widened(trial.table, fields),
        runs_table=None if runs_table is None else _widened(runs_table, run_fields),
        attrition=(*trial.attrition, *steps),
        _answers=answers,
        _runs=runs,
    )


def with_values(trial: TrialData, stage: str, table: str, values: Mapping[int, float]) -> TrialData:
    """The trial with other scores of a stage, by row of the table's file."""
    answers, runs = trial.answers, trial.runs
    if table == "benchmark" and runs is not None:
        runs[stage] = pd.array([values.get(row) for row in range(1, len(runs) + 1)], dtype="Float64")
    else:
        answers[stage] = pd.array([values.get(row) for row in trial.rows], dtype="Float64")
    return replace(trial, _answers=answers, _runs=runs)


def _widened(table: Table, added: Sequence[Field]) -> Table:
    return table.model_copy(update={"fields": (*table.fields, *added)})


def _add(frame: pd.DataFrame, plan: StageScoring, values: Sequence[float | None]) -> Field:
    if plan.stage in frame:
        what = f"stage {plan.stage} is scored here, and a column of this name is there already"
        raise DataError(Fault(what, "Rename the stage or the column", place=f"scoring.{plan.stage}"))
    frame[plan.stage] = pd.array(values, dtype="Float64")
    return Field(name=plan.stage, type="number", role="score", stage=plan.stage)


def _mark_users(answers: pd.DataFrame, trial: TrialData, linker: Linker) -> list[Field]:
    """Who wrote to the system, where no column of the trial says so."""
    if trial.column(USED) is not None:
        return []
    arms = answers[trial.column("arm") or "arm"].astype("string")
    analysed = set(linker.ai_arms)
    wrote = [arm not in analysed or linker.wrote(row) is not False for row, arm in enumerate(arms)]
    if all(wrote):
        return []
    name = USED if USED not in answers else f"{USED}_by_log"
    answers[name] = pd.array(wrote, dtype="boolean")
    return [Field(name=name, type="boolean", role="used")]
