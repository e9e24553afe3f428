"""Human labels beside automatic scores: the cases to label, the errors that labels show, scores that they put right."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from rctgap.agreement import effective_rates
from rctgap.conversations import Conversation
from rctgap.documents import nearest
from rctgap.error_rates import ErrorRates
from rctgap.errors import DataError, Fault
from rctgap.gold_keys import Keys, Rows, table_rows
from rctgap.labelling import key_beside, labelling_plan, one_label_each, read_sheet, strata_of, write_sheet
from rctgap.linkage import Linker
from rctgap.rectification import (
    ArmMean,
    LabelledScores,
    arm_means,
    labelled_mean,
    pseudo_scores,
    where_labels_alone_are_narrower,
)
from rctgap.scorers.protocol import GoldKey
from rctgap.scorers.scopes import texts_in_scope
from rctgap.scoring import ScoredText, ScoredTrial, with_values
from rctgap.scoring_plan import StageScoring
from rctgap.trial import TrialData

__all__ = ["Rectification", "case_of", "error_rates", "participants_of", "read_labels", "rectified", "write_sample"]

INSTRUCTION = (
    "1 if the text names a right answer of the key as its own view, 0 if not; a number between for a share of it"
)
RATER = "rater"


def case_of(one: ScoredText) -> str:
    """What a labelling sheet's key calls a case: its table and row."""
    return f"{one.table}:{one.row}"


# ---------------------------------------------------------------- the sheet


def write_sample(
    path: Path,
    scored: ScoredTrial,
    size: int,
    seed: int,
    conversations: Iterable[Conversation] = (),
    linker: Linker | None = None,
) -> None:
    """Draw cases, stratified by stage, arm and automatic score, and write them as a blinded sheet with its key.

    Parameters
    ----------
    path : Path
        A new .csv file; the key goes beside it.
    scored : ScoredTrial
    size, seed : int
        How many cases, and the seed of the draw and of their order.
    conversations : iterable of Conversation
        The logs once more; only texts of drawn cases are kept.
    linker : Linker, optional
        A fresh one, where there are logs.

    Raises
    ------
    RctgapError
        More draws than cases, too few for the strata, or a file that is there already.
    """
    texts = [one for one in scored.texts if one.score.value is not None]
    frame = pd.DataFrame(
        {
            "case": [case_of(one) for one in texts],
            "stage": [one.stage for one in texts],
            "digest": [one.digest for one in texts],
            "arm": [one.arm for one in texts],
            "automatic": [float(one.score.value or 0) for one in texts],
        }
    )
    plan = labelling_plan(strata_of(frame["stage"], frame["arm"], frame["automatic"]), size, seed)
    drawn = [one for one, chosen in zip(texts, plan.drawn, strict=True) if chosen]
    said = dict(_said(drawn, scored, conversations, linker))
    shown = [said.get((one.stage, one.table, one.row), ("", "")) for one in texts]
    frame["instruction"] = INSTRUCTION
    frame["question"] = [one.item for one in texts]
    frame["key"], frame["text"] = [key for key, _ in shown], [text for _, text in shown]
    write_sheet(path, frame, plan, seed)


def _said(
    drawn: Sequence[ScoredText],
    scored: ScoredTrial,
    conversations: Iterable[Conversation],
    linker: Linker | None,
) -> Iterator[tuple[tuple[str, str, int], tuple[str, str]]]:
    """Key and text of the drawn cases."""
    tables = table_rows(scored.trial)
    plans = {plan.stage: plan for plan in scored.plans}
    wanted: dict[str, dict[int, ScoredText]] = {}
    for one in drawn:
        wanted.setdefault(one.stage, {})[one.row] = one
    for stage, mine in wanted.items():
        plan = plans[stage]
        if plan.source != "conversations":
            rows = tables[plan.source]
            keys = Keys(plan, rows)
            for place, number in enumerate(rows.numbers):
                if number in mine:
                    told = _told(keys[place])
                    yield (stage, plan.source, number), (told, str(rows.frame[plan.text].iloc[place]))
    if linker is not None:
        yield from _heard(wanted, plans, tables["trial"], conversations, linker)


def _heard(
    wanted: Mapping[str, Mapping[int, ScoredText]],
    plans: Mapping[str, StageScoring],
    rows: Rows,
    conversations: Iterable[Conversation],
    linker: Linker,
) -> Iterator[tuple[tuple[str, str, int], tuple[str, str]]]:
    logged = {stage: plans[stage] for stage in wanted if plans[stage].source == "conversations"}
    keys = {stage: Keys(plan, rows) for stage, plan in logged.items() if plan.scorer is not None}
    for one in conversations:
        match = linker.match(one)
        if match.row is None or not match.fresh:
            continue
        for stage, plan in logged.items():
            if rows.numbers[match.row] in wanted[stage]:
                told = _told(keys[stage][match.row]) if stage in keys else ""
                text = "\n\n".join(texts_in_scope(one, plan.scope or "either"))
                yield (stage, "trial", rows.numbers[match.row]), (told, text)


def _told(key: GoldKey) -> str:
    """A gold key for people."""
    if key.options:
        return "; ".join(f"{label}: {text}{' (right)' if label == key.answer else ''}" for label, text in key.options)
    return "; ".join(" | ".join(term.spellings) for term in key.terms)


# ---------------------------------------------------------------- labels back


def read_labels(path: Path, scored: ScoredTrial) -> pd.DataFrame:
    """Labels of the sheet that `write_sample` wrote, one row for each case and rater.

    Parameters
    ----------
    path : Path
        The filled-in sheet, with its key beside it.
    scored : ScoredTrial

    Returns
    -------
    DataFrame
        Columns `case`, `stage`, `digest`, `label`, `label_probability`, `rater`, `arm`, `participant`, `automatic`.

    Raises
    ------
    DataError
        A fault of the sheet, or a case that is not scored here or whose text is another now.
    """
    labels = read_sheet(path, key_beside(path))
    known = {(case_of(one), one.stage): one for one in scored.texts}
    stages = dict.fromkeys(one.stage for one in scored.texts)
    faults = [
        Fault(
            "the labelled stage is not scored here", nearest(str(stage), stages), str(path), "stage", value=str(stage)
        )
        for stage in labels["stage"].unique()
        if stage not in stages
    ]
    strangers = [one for one in zip(labels["case"], labels["stage"], strict=True) if one not in known]
    if strangers and not faults:
        todo = "Use the sheet that was drawn from these data, with the same exclusions"
        faults = [Fault(f"{len(strangers)} labelled cases are not scored here", todo, str(path), value=strangers[0][0])]
    if faults:
        raise DataError(*faults)
    mine = [known[one] for one in zip(labels["case"], labels["stage"], strict=True)]
    others = [
        case for case, digest, one in zip(labels["case"], labels["digest"], mine, strict=True) if digest != one.digest
    ]
    if others:
        what = f"{len(set(others))} labelled cases now hold another text than the one that was labelled"
        todo = "Use the sheet with the rows, logs and scope it was drawn from, or draw a new one"
        raise DataError(Fault(what, todo, str(path), value=others[0]))
    people = participants_of(scored.trial)
    return labels.assign(
        arm=[one.arm for one in mine],
        participant=[people.get(case_of(one), case_of(one)) for one in mine],
        automatic=[float(one.score.value or 0) for one in mine],
    )


def participants_of(trial: TrialData) -> dict[str, str]:
    """Participant of each answer, where they are known."""
    column = trial.column("participant")
    if column is None:
        return {}
    names = trial.answers[column].astype("string").fillna("")
    return {f"trial:{row}": name for row, name in zip(trial.rows, names, strict=True) if name}


def error_rates(labels: pd.DataFrame, scorers: Mapping[str, str]) -> dict[str, ErrorRates]:
    """Error rates of each stage's scorer, stages that share one pooled.

    Parameters
    ----------
    labels : DataFrame
        As of `read_labels`.
    scorers : mapping of str to str
        Name of each stage's scorer.

    Returns
    -------
    dict of str to ErrorRates
        Counts of as many independent cases as the labelled ones are worth, weighted by their inverse probabilities and
        clustered by participant. Stages without right or wrong cases among the labels have none.
    """
    first = labels.drop_duplicates(["case", "stage"])[["case", "stage", "automatic", "participant"]]
    one = one_label_each(labels).merge(first, on=["case", "stage"])
    found: dict[str, ErrorRates] = {}
    for scorer in dict.fromkeys(scorers.values()):
        stages = [stage for stage, name in scorers.items() if name == scorer]
        mine = one[one["stage"].isin(stages)]
        automatic, human = (mine[name].to_numpy(dtype=np.float64) for name in ("automatic", "label"))
        if 0 < human.sum() < human.size:
            weight = 1 / mine["label_probability"].to_numpy(dtype=np.float64)
            people = mine["participant"].to_numpy(dtype=np.str_)
            found |= dict.fromkeys(stages, effective_rates(scorer, automatic, human, people, weight))
    return found


@dataclass(frozen=True, slots=True)
class Rectification:
    """How one stage's scores were put right.

    Attributes
    ----------
    stage, scorer : str
    lam : float
        How much the automatic scores count.
    n_labelled : float
    automatic, labels, both : tuple of ArmMean
        Means of the automatic scores, of the labelled answers alone, and of the pseudo-scores, by arm.
    note : str
    """

    stage: str
    scorer: str
    lam: float
    n_labelled: float
    automatic: tuple[ArmMean, ...]
    labels: tuple[ArmMean, ...]
    both: tuple[ArmMean, ...]
    note: str


def rectified(scored: ScoredTrial, labels: pd.DataFrame) -> tuple[TrialData, tuple[Rectification, ...]]:
    """The trial with pseudo-scores in place of the automatic scores of every labelled stage.

    Parameters
    ----------
    scored : ScoredTrial
    labels : DataFrame
        As of `read_labels`.

    Returns
    -------
    trial : TrialData
    rectifications : tuple of Rectification

    Raises
    ------
    EstimationError
        A stage of which some arm has no label.
    """
    trial, found = scored.trial, []
    one = one_label_each(labels).set_index(["stage", "case"])
    scorers = {plan.stage: dict(plan.instrument)["scorer"] for plan in scored.plans}
    people = participants_of(trial)
    for stage in dict.fromkeys(labels["stage"]):
        texts = [text for text in scored.texts if text.stage == stage and text.score.value is not None]
        mine = one.loc[stage].reindex([case_of(text) for text in texts])
        given = LabelledScores(
            np.array([text.score.value for text in texts], dtype=np.float64),
            mine["label"].to_numpy(dtype=np.float64),
            mine["label_probability"].to_numpy(dtype=np.float64),
            np.array([text.arm or text.table for text in texts]),
            np.array([people.get(case_of(text), case_of(text)) for text in texts]),
        )
        put_right = pseudo_scores(given)
        trial = with_values(
            trial,
            stage,
            texts[0].table,
            dict(zip((text.row for text in texts), put_right.scores.tolist(), strict=True)),
        )
        automatic = arm_means(given.automatic, given.arm, given.participant, given.weight)
        both = arm_means(put_right.scores, given.arm, given.participant, given.weight)
        note = " ".join(part for part in (put_right.note, where_labels_alone_are_narrower(given, put_right)) if part)
        found.append(
            Rectification(
                stage, scorers[stage], put_right.lam, put_right.n_labelled, automatic, labelled_mean(given), both, note
            )
        )
    return replace(trial), tuple(found)
