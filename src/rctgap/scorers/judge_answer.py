"""From the words of a judge to a score: a strict reader, and quotes turned into positions."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pydantic

from rctgap.scorers.judge_prompt import cleaned, labels
from rctgap.scorers.protocol import Case, Evidence, Score

__all__ = ["NO_VALID_ANSWER", "StoredScore", "full_score", "read_answer"]

NO_VALID_ANSWER: Literal["no valid answer"] = "no valid answer"
NOT_FOUND: Literal["evidence not found"] = "evidence not found"
MAX_CHARS = 20_000
FENCE = "```"

type Share = Annotated[float, pydantic.Field(ge=0.0, le=1.0, allow_inf_nan=False)]
type Count = Annotated[int, pydantic.Field(ge=0)]


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class _Quote(_Strict):
    text: Count
    quote: Annotated[str, pydantic.Field(min_length=1, max_length=2000)]
    term: Annotated[str, pydantic.Field(max_length=2000)] = ""


class _Answer(_Strict):
    score: Share
    evidence: Annotated[list[_Quote], pydantic.Field(max_length=50)] = []


class StoredScore(_Strict):
    """A score without a word of the case: what the cache keeps.

    Attributes
    ----------
    value : float or None
        None where the judge gave no valid answer.
    evidence : sequence of (text, start, end, term)
        Positions; `term` counts `judge_prompt.labels` from 0, -1 for none of them.
    note : {"", "evidence not found", "no valid answer"}
    """

    value: Share | None
    evidence: tuple[tuple[Count, Count, Count, Annotated[int, pydantic.Field(ge=-1)]], ...] = ()
    note: Literal["", "evidence not found", "no valid answer"] = ""


def read_answer(content: str, case: Case) -> StoredScore | None:
    r"""Hold a judge's answer against the form that was asked for.

    Parameters
    ----------
    content : str
        What the judge wrote: one JSON object, alone or as a fenced block.
    case : Case
        Where quotes are looked for, letter by letter. One that is not there is dropped, and noted.

    Returns
    -------
    StoredScore or None
        None where the answer has another form: no JSON, a key too many, a key given twice, a score outside [0, 1].

    Examples
    --------
    >>> from rctgap.scorers.judge_answer import read_answer
    >>> from rctgap.scorers.keys import gold_key
    >>> from rctgap.scorers.protocol import Case
    >>> case = Case(("It may be gallstones.",), gold_key("gallstones"))
    >>> written = '{"score": 1, "evidence": [{"text": 0, "quote": "gallstones", "term": "gallstones"}]}'
    >>> read_answer(written, case).evidence
    ((0, 10, 20, 0),)
    >>> read_answer("The score is 1.", case) is None
    True
    """
    if len(content) > MAX_CHARS:
        return None
    try:
        answer = _Answer.model_validate(json.loads(_unfenced(content), object_pairs_hook=_each_once))
    except (ValueError, RecursionError):
        return None
    known = labels(case.key)
    found = [_place(one, case.texts, known) for one in answer.evidence]
    kept = tuple(place for place in found if place is not None)
    return StoredScore(value=answer.score, evidence=kept, note="" if len(kept) == len(found) else NOT_FOUND)


def full_score(stored: StoredScore, case: Case) -> Score:
    """A stored score with the names of its terms."""
    known = (*labels(case.key), "")
    evidence = tuple(
        Evidence(text, start, end, known[term] if term < len(known) else "")
        for text, start, end, term in stored.evidence
    )
    return Score(stored.value, evidence, stored.note)


def _unfenced(content: str) -> str:
    text = content.strip()
    if text.startswith(FENCE) and text.endswith(FENCE) and len(text) >= 2 * len(FENCE):
        head, _, rest = text.removeprefix(FENCE).removesuffix(FENCE).partition("\n")
        return rest if head.strip().lower() in {"", "json"} else text
    return text


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def _place(one: _Quote, texts: Sequence[str], known: Sequence[str]) -> tuple[int, int, int, int] | None:
    if one.text >= len(texts) or not one.quote.strip():
        return None
    start = cleaned(texts[one.text]).find(one.quote)
    term = known.index(one.term) if one.term in known else -1
    return None if start < 0 else (one.text, start, start + len(one.quote), term)
