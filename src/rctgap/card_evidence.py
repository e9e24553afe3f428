"""What the data say of a card's assumptions, as it is carried inside the card.

The authors' schema allows no further key, so evidence stands in the free text of `notes`, as a block of YAML between
two marks. A reader that knows nothing of it sees text; rctgap reads it back strictly. The end mark holds a checksum,
so that a figure changed by hand is told; it finds slips, and is no signature.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import pydantic
import yaml

from rctgap.card_format import displayed
from rctgap.documents import load_text
from rctgap.errors import CardError

__all__ = ["AssumptionEvidence", "DeploymentEvidence", "Notes", "Status", "joined", "split_notes"]

type Status = Literal["holds", "violated", "inconclusive", "untested", "not_testable"]
type _Number = Annotated[float, pydantic.Field(allow_inf_nan=False)] | None

OPENING = "[rctgap evidence 1: made by `rctgap card evidence`; do not edit between the marks]"
CLOSING = "[end of rctgap evidence, sha256 {}]"
MAX_BLOCK = 400_000
NEVER = 10**9  # a width at which no line is broken

_OPENING = re.compile(r"^\[rctgap evidence .*$", re.MULTILINE)
_CLOSING = re.compile(r"^\[end of rctgap evidence, sha256 ([0-9a-f]{16})\][ \t]*$", re.MULTILINE)
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class AssumptionEvidence:
    """What one deployment's data say of one assumption.

    Attributes
    ----------
    assumption_id : str
    status : {"holds", "violated", "inconclusive", "untested", "not_testable"}
    estimate, lower, upper : float or None
        The component that bears on it, with its interval, in proportions.
    level : float or None
        Confidence of the interval.
    margin : float or None
        What the component was held against, in proportions.
    joint_with : tuple of str
        Other assumptions that the same component speaks to.
    evidence : str
        In words, with what limits it.
    """

    __pydantic_config__: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(extra="forbid")

    assumption_id: str
    status: Status
    estimate: _Number = None
    lower: _Number = None
    upper: _Number = None
    level: _Number = None
    margin: _Number = None
    joint_with: tuple[str, ...] = ()
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class DeploymentEvidence:
    """What a result says of a card's assumptions, and which data and analysis it came from.

    Attributes
    ----------
    deployment : str
        The result's title, by which it is replaced when it is written again.
    estimand : str
        What was estimated, how, and from which scores.
    final : bool
        Whether no check forbids calling the result final.
    data_date : str
        As the analysis states it; empty where it does not.
    data_sha256, analysis_sha256 : str
        Hashes of the data's files together and of the analysis; empty where the result was made without files.
    version : str
        Of rctgap.
    assumptions : tuple of AssumptionEvidence
    """

    __pydantic_config__: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(extra="forbid")

    deployment: str
    estimand: str
    final: bool
    data_date: str
    data_sha256: str
    analysis_sha256: str
    version: str
    assumptions: tuple[AssumptionEvidence, ...]

    def of(self, assumption_id: str) -> AssumptionEvidence | None:
        """What is said of one assumption, if anything."""
        return next((one for one in self.assumptions if one.assumption_id == assumption_id), None)


class Notes(NamedTuple):
    """A card's notes taken apart: the authors' own text, the evidence, and what is wrong with a block in them."""

    text: str
    evidence: tuple[DeploymentEvidence, ...]
    remark: str


_EVIDENCE = pydantic.TypeAdapter(tuple[DeploymentEvidence, ...])


def joined(text: str, evidence: Sequence[DeploymentEvidence]) -> str:
    """Notes with a block of evidence after them; the notes alone where there is none.

    Examples
    --------
    >>> from rctgap.card_evidence import AssumptionEvidence, DeploymentEvidence, joined, split_notes
    >>> found = AssumptionEvidence("task.query_authorship", "violated", -0.12, -0.2, -0.07, 0.9, 0.05)
    >>> trial = DeploymentEvidence("Trial A", "items fixed", True, "2025", "", "", "0.1.0", (found,))
    >>> notes = joined("Seven doctors wrote it.", [trial])
    >>> print(notes)
    Seven doctors wrote it.
    <BLANKLINE>
    [rctgap evidence 1: made by `rctgap card evidence`; do not edit between the marks]
    - deployment: Trial A
      estimand: items fixed
      final: true
      data_date: '2025'
      data_sha256: ''
      analysis_sha256: ''
      version: 0.1.0
      assumptions:
      - assumption_id: task.query_authorship
        status: violated
        estimate: -0.12
        lower: -0.2
        upper: -0.07
        level: 0.9
        margin: 0.05
        joint_with: []
        evidence: ''
    [end of rctgap evidence, sha256 e58ac364ab53152f]
    >>> split_notes(notes) == ("Seven doctors wrote it.", (trial,), "")
    True
    """
    if not evidence:
        return text
    content = [_rounded(_plain(one)) for one in evidence]
    body = _dumped(content, as_written=True)
    if yaml.safe_load(body) != content:
        body = _dumped(content, as_written=False)
    block = f"{OPENING}\n{body}{CLOSING.format(_checksum(body))}"
    return f"{text}\n\n{block}" if text else block


def _dumped(content: Sequence[Mapping[str, Any]], *, as_written: bool) -> str:
    """As YAML; characters that YAML takes for line breaks come back only as escapes."""
    body: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=as_written, width=NEVER)
    return body


def _plain(one: DeploymentEvidence) -> dict[str, Any]:
    """A record as mappings and lists alone."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(one)))
    return plain


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, _DIGITS) + 0.0 if isinstance(value, float) else value


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def split_notes(notes: str) -> Notes:
    """Take notes apart; a block that cannot be used stays in the text, and the remark says why.

    The last opening mark is the one that counts: whatever looks like a mark in the authors' own notes stands before it.
    """
    marks = list(_OPENING.finditer(notes))
    if not marks:
        return Notes(notes, (), "")
    start = marks[-1].start()
    closing = _CLOSING.search(notes, start)
    try:
        evidence = _read(notes[start : closing.end()] if closing else "", closing[1] if closing else "")
    except _DamagedError as damage:
        remark = f"notes hold an evidence block that cannot be used ({displayed(str(damage))}); it was kept as text."
        return Notes(notes, (), remark)
    rest = notes[closing.end() :] if closing else ""
    text = notes[:start].removesuffix("\n\n") + (rest if rest.strip() else "")
    return Notes(text, evidence, "notes hold a further evidence block; it was kept as text." if len(marks) > 1 else "")


class _DamagedError(Exception):
    """A block that cannot be used, and why."""


def _read(block: str, checksum: str) -> tuple[DeploymentEvidence, ...]:
    """The records of a whole block, marks included."""
    if not block:
        raise _DamagedError("its end mark is missing or damaged")
    if len(block) > MAX_BLOCK:
        raise _DamagedError(f"it has more than {MAX_BLOCK:,} characters")
    opening, *lines, _ = block.split("\n")
    if opening.rstrip() != OPENING:
        raise _DamagedError("its opening mark is not one that this version writes")
    body = "".join(f"{line}\n" for line in lines)
    if _checksum(body) != checksum:
        raise _DamagedError("it was changed after it was written: its checksum differs")
    try:
        content = json.dumps(load_text(body, "notes", CardError), allow_nan=False)
        evidence = _EVIDENCE.validate_json(content, strict=True)
    except CardError as fault:
        raise _DamagedError(fault.reason) from None
    except pydantic.ValidationError as fault:
        first = fault.errors()[0]
        raise _DamagedError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (TypeError, ValueError):
        raise _DamagedError("it holds a value that is neither text, nor a number, nor true or false") from None
    _refuse_repeated([one.deployment for one in evidence])
    for one in evidence:
        _refuse_repeated([row.assumption_id for row in one.assumptions])
    return evidence


def _refuse_repeated(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise _DamagedError(f"{repeated[:80]!r} is given twice")
