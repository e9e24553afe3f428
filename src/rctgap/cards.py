"""BenchmarkCards: what a benchmark assumes, and whether its user expects that to hold at deployment.

These are the BenchmarkCards of Raman et al. (arXiv 2605.22612), not the unrelated ones of Sokol et al.
(arXiv 2410.12974). Their authors publish a YAML format in several variants; all are read, and each departure from the
schema is told. What a card says is text, shown and never evaluated.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from rctgap.card_evidence import DeploymentEvidence, split_notes
from rctgap.card_format import (
    DEFAULT_ASSUMPTIONS,
    Block,
    Holds,
    blocks,
    declared_holds,
    departures,
    displayed,
    faults,
    frozen,
    text_of,
    untyped,
)
from rctgap.documents import nearest, read_document, sha256
from rctgap.errors import CardError, Fault
from rctgap.stages import Family

__all__ = [
    "DEFAULT_ASSUMPTIONS",
    "Assumption",
    "BenchmarkCard",
    "CardNote",
    "Holds",
    "blank",
    "check_card",
    "declared_holds",
    "read_card",
]

type NoteKind = Literal["departure", "missing", "unanswered", "practitioner"]

_BLANKS = ("", "~", "null")


@dataclass(frozen=True, slots=True)
class Assumption:
    """One assumption of a benchmark, as its card states it.

    Attributes
    ----------
    id : str
        The explicit ID, else the family and key, such as `task.query_authorship`.
    family : {"task", "outcome"}
        Whether it can be tested from interaction data or needs outcomes.
    key : str
        The key as written in the card.
    question, answer : str
        The designer's columns, as written.
    holds_at_deployment : str
        The practitioner's column, as written; empty where it was not filled in.
    """

    id: str
    family: Family
    key: str
    question: str = ""
    answer: str = ""
    holds_at_deployment: str = ""

    @property
    def declared(self) -> Holds:
        """What `holds_at_deployment` declares by its opening word."""
        return declared_holds(self.holds_at_deployment)


@dataclass(frozen=True, slots=True)
class BenchmarkCard:
    """A card as read: its texts, its assumptions, and where it departs from the authors' schema.

    Attributes
    ----------
    name, citation, version, intended_use, deployment_context, notes : str
        The card's texts as written; empty where absent. `notes` are without the evidence that they carry.
    intended_use_holds : str
        The `holds_at_deployment` that some published cards give the intended use.
    assumptions : tuple of Assumption
        In the card's order, each ID once.
    departures : tuple of str
        One sentence for each departure from the authors' schema.
    evidence : tuple of DeploymentEvidence
        What results have said of the assumptions, as the card's notes carry it, in its order.
    path : Path or None
        The file, where there is one.
    sha256 : str
        The file's SHA-256; empty without a file.
    document : Mapping
        The whole card as an immutable mapping, keys unknown to the schema included.
    text : str
        The file's text, comments included; empty without a file.
    """

    name: str
    citation: str
    version: str
    intended_use: str
    intended_use_holds: str
    deployment_context: str
    assumptions: tuple[Assumption, ...]
    notes: str
    departures: tuple[str, ...]
    evidence: tuple[DeploymentEvidence, ...] = ()
    path: Path | None = None
    sha256: str = ""
    document: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False, hash=False)
    text: str = field(default="", repr=False, compare=False)

    @property
    def ids(self) -> tuple[str, ...]:
        """Assumption IDs in the card's order."""
        return tuple(assumption.id for assumption in self.assumptions)

    def require(self, ids: Iterable[str], where: str) -> tuple[Assumption, ...]:
        """Look up assumptions by ID, in the order asked.

        Parameters
        ----------
        ids : iterable of str
            Assumption IDs named by an analysis or a command.
        where : str
            The place that names them, for the message.

        Raises
        ------
        CardError
            The card lacks an ID; every unknown one is named with the nearest known.

        Examples
        --------
        >>> from rctgap.cards import read_card
        >>> card = read_card({"task": {"query_authorship": {"question": "Who wrote it?", "answer": "Nurses"}}})
        >>> card.require(["task.query_authorship"], "analysis.yaml")[0].answer
        'Nurses'
        >>> card.require(["task.query_autorship"], "analysis.yaml")
        Traceback (most recent call last):
        rctgap.errors.CardError: analysis.yaml, value 'task.query_autorship': the card has no assumption with this ID. \
Did you mean 'task.query_authorship'? Allowed: task.query_authorship
        """
        wanted = tuple(dict.fromkeys(ids))
        known = {assumption.id: assumption for assumption in self.assumptions}
        unknown = [name for name in wanted if name not in known]
        if unknown:
            what = "the card has no assumption with this ID"
            raise CardError(*(Fault(what, nearest(name, known), place=where, value=name) for name in unknown))
        return tuple(known[name] for name in wanted)

    def __str__(self) -> str:
        from rctgap.card_rendering import describe_card  # noqa: PLC0415 - loaded when something is printed

        return describe_card(self)


@dataclass(frozen=True, slots=True)
class CardNote:
    """One remark of `check_card`.

    Attributes
    ----------
    kind : {"departure", "missing", "unanswered", "practitioner"}
        A departure from the schema, a default assumption that the card lacks, a
        designer's field left empty, or a gap in the practitioner's column.
    text : str
        The remark, one sentence.
    """

    kind: NoteKind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def read_card(source: Path | str | Mapping[str, Any]) -> BenchmarkCard:
    """Read a BenchmarkCard in any of its published variants.

    Parameters
    ----------
    source : Path, str or Mapping
        The path of a YAML or JSON file, or the card's content.

    Returns
    -------
    BenchmarkCard
        With IDs under `task` and `outcome` even where the card uses the older names
        `contextual` and `consequential`, and every departure from the schema noted.

    Raises
    ------
    CardError
        The file cannot be read, gives a key twice, or holds what no lenient reading
        can use: an assumption or a family that is not a mapping, an invalid or
        repeated ID, no assumption at all. All faults of the content come together.

    Examples
    --------
    >>> from rctgap.cards import read_card
    >>> card = read_card({
    ...     "benchmark_name": "Rash quiz",
    ...     "citation": "doe2026",
    ...     "intended_use_case": {"answer": "Naming a rash"},
    ...     "contextual": {
    ...         "interaction_type": {"question": "Turns?", "answer": "both", "holds_at_deployment": "No (chat)"},
    ...     },
    ... })
    >>> card.ids, card.assumptions[0].declared
    (('task.interaction_type',), 'no')
    >>> card.departures
    ('contextual is an older name of a family, where the schema has task; it was read as task.',)
    """
    path = None if isinstance(source, Mapping) else Path(source)
    content = source if isinstance(source, Mapping) else read_document(Path(source), CardError, text_only=True)
    file = "" if path is None else str(path)
    document = frozen(content, file)
    found = tuple(faults(document, file))
    if found:
        raise CardError(*found)
    notes = split_notes(_text(document, "notes"))
    told = (notes.remark,) if notes.remark else ()
    return BenchmarkCard(
        name=_text(document, "benchmark_name"),
        citation=_text(document, "citation"),
        version=_text(document, "version"),
        **_intended_use(document),
        assumptions=tuple(map(_assumption, blocks(document))),
        notes=notes.text,
        departures=(*departures(document), *untyped(document if path is None else _as_typed(path)), *told),
        evidence=notes.evidence,
        path=path,
        sha256="" if path is None else sha256(path),
        document=document,
        text="" if path is None else path.read_bytes().decode("utf-8-sig"),
    )


def _text(content: Mapping[str, Any], key: str) -> str:
    return text_of(content.get(key))


def _intended_use(document: Mapping[str, Any]) -> dict[str, str]:
    use = document.get("intended_use_case", {})
    content = use if isinstance(use, Mapping) else {"answer": use}
    return {
        "intended_use": _text(content, "answer"),
        "intended_use_holds": _text(content, "holds_at_deployment"),
        "deployment_context": _text(content, "deployment_context"),
    }


def _assumption(block: Block) -> Assumption:
    texts = {key: _text(block.content, key) for key in ("question", "answer", "holds_at_deployment")}
    return Assumption(block.id, block.family, block.key, **texts)


def _as_typed(path: Path) -> Mapping[str, Any]:
    """Read the card as plain YAML readers do; nothing where they refuse it, as they do an unknown tag."""
    try:
        return read_document(path, CardError)
    except CardError:
        return {}


def check_card(card: BenchmarkCard) -> tuple[CardNote, ...]:
    """List what a card leaves unsaid, and where it departs from the authors' schema.

    Parameters
    ----------
    card : BenchmarkCard
        The card as read.

    Returns
    -------
    tuple of CardNote
        Departures, then missing default assumptions, empty designers' fields and gaps
        in the practitioner's column; empty for a complete card.

    Examples
    --------
    >>> from rctgap.cards import check_card, read_card
    >>> card = read_card({"task": {"query_authorship": {"question": "Who wrote it?", "answer": ""}}})
    >>> print(next(note for note in check_card(card) if note.kind == "unanswered"))
    unanswered: benchmark_name is empty.
    """
    notes = [CardNote("departure", sentence) for sentence in card.departures]
    stated = {*card.ids, *(f"{one.family}.{one.key}" for one in card.assumptions)}
    missing = (name for name in DEFAULT_ASSUMPTIONS if name not in stated)
    notes.extend(
        CardNote("missing", f"{name} is not stated, one of the format's five assumptions.") for name in missing
    )
    notes.extend(CardNote("unanswered", f"{place} is empty.") for place in _unanswered(card))
    notes.extend(CardNote("practitioner", sentence) for sentence in _undeclared(card))
    return tuple(notes)


def blank(text: str) -> bool:
    """Whether a text says nothing: white space, or what YAML writes for nothing."""
    return displayed(text).lower() in _BLANKS


def _unanswered(card: BenchmarkCard) -> Iterator[str]:
    use = {"benchmark_name": card.name, "citation": card.citation, "intended_use_case.answer": card.intended_use}
    yield from (place for place, text in use.items() if blank(text))
    for assumption in card.assumptions:
        designer = {"question": assumption.question, "answer": assumption.answer}
        yield from (f"{assumption.id}.{key}" for key, text in designer.items() if blank(text))


def _undeclared(card: BenchmarkCard) -> Iterator[str]:
    if blank(card.deployment_context):
        yield "intended_use_case.deployment_context is empty, so the card says nothing of where the model is used."
    unfilled = [assumption.id for assumption in card.assumptions if blank(assumption.holds_at_deployment)]
    if unfilled:
        yield f"holds_at_deployment is empty for {', '.join(unfilled)}."
    for assumption in card.assumptions:
        if assumption.id not in unfilled and not assumption.declared:
            place = f"{assumption.id}.holds_at_deployment"
            yield f"{place} does not open with a plain Yes, No or Partially, so it declares nothing."
