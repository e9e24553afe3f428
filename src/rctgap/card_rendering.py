"""A card for people: plain text, Markdown, or a page of its own, with what the data say of its assumptions."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import batched, zip_longest
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rctgap.card_evidence import AssumptionEvidence, DeploymentEvidence, Status
from rctgap.card_format import displayed
from rctgap.cards import BenchmarkCard, blank
from rctgap.tables import BLANK, interval, markdown_table, points

__all__ = ["card_html", "card_markdown", "describe_card", "describe_evidence"]

SIGNS: dict[Status, str] = {
    "holds": "\u2713 holds",
    "violated": "\u2717 violated",
    "inconclusive": "? inconclusive",
    "untested": "\u00b7 untested",
    "not_testable": "\u2013 not testable",
}
LEGEND = (
    "holds: within the margin; violated: wholly beyond it; inconclusive: neither can be said; untested: no test was "
    "run; not testable: these data cannot say. An interval is that of the test, at its own level."
)
NO_EVIDENCE = "No result has been written into this card."
NOT_STATED = "not stated"
NOT_SPOKEN_OF = "no assumption of this result"

_COLUMNS = ("ID", "question", "answer", "holds at deployment")
_COLUMN_WIDTH = 30
_DEPLOYMENT_WIDTH = 38
_LINE_WIDTH = 120
_HASH = 16


class Finding(NamedTuple):
    """What one result says of one assumption, in words."""

    kind: str
    status: str
    figures: str = ""
    joint: str = ""
    told: str = ""


def describe_card(card: BenchmarkCard) -> str:
    """Show a card as plain text: its heading, a table of its assumptions, its evidence, its departures.

    Parameters
    ----------
    card : BenchmarkCard
        The card as read.

    Returns
    -------
    str
        Lines without control characters, whatever the card contains.

    Examples
    --------
    >>> from rctgap.card_rendering import describe_card
    >>> from rctgap.cards import read_card
    >>> card = read_card({
    ...     "benchmark_name": "Rash quiz",
    ...     "citation": "doe2026",
    ...     "intended_use_case": {"answer": "Naming a rash"},
    ...     "outcome": {
    ...         "decision_mediation": {"question": "Who decides?", "answer": "The AI", "holds_at_deployment": "No"},
    ...     },
    ... })
    >>> print(describe_card(card))
    Rash quiz
    citation:      doe2026
    intended use:  Naming a rash
    <BLANKLINE>
    ID                          question      answer  holds at deployment
    --------------------------  ------------  ------  -------------------
    outcome.decision_mediation  Who decides?  The AI  No
    <BLANKLINE>
    No departure from the authors' schema.
    """
    filled = dict(_heading(card))
    width = max((len(label) for label in filled), default=0) + 3
    labelled = (_wrapped(text, f"{label}:".ljust(width)) for label, text in filled.items())
    found = ["What the data say:", "", describe_evidence(card), ""] if card.evidence else []
    return "\n".join([_title(card), *labelled, "", *_statements(card), "", *found, *_departed(card)])


def describe_evidence(card: BenchmarkCard, chosen: Sequence[DeploymentEvidence] | None = None) -> str:
    r"""Show what results say of a card's assumptions as plain text, deployments side by side.

    Parameters
    ----------
    card : BenchmarkCard
        The card as read.
    chosen : sequence of DeploymentEvidence, optional
        The deployments to show; by default those that the card carries.

    Returns
    -------
    str
        A table with a row an assumption and a column a deployment, as many beside one another as a line holds;
        estimates, intervals and margins in percentage points.

    Examples
    --------
    >>> from rctgap.card_evidence import AssumptionEvidence, DeploymentEvidence
    >>> from rctgap.card_rendering import describe_evidence
    >>> from rctgap.cards import read_card
    >>> card = read_card({"task": {"query_authorship": {"question": "Who?", "answer": "Two nurses"}}})
    >>> found = AssumptionEvidence("task.query_authorship", "violated", -0.12, -0.2, -0.07, 0.9, 0.05)
    >>> trial = DeploymentEvidence("Trial A", "items fixed", True, "2025", "", "", "0.1.0", (found,))
    >>> print(describe_evidence(card, [trial]).partition("\n\n")[0])
                           Trial A
    ---------------------  -------------------------------------
    final                  yes
    estimand               items fixed
    data of                2025
    data, SHA-256          not stated
    analysis, SHA-256      not stated
    rctgap                 0.1.0
    task.query_authorship  ✗ violated
                           -12.0 points (-20.0 to -7.0 at 90 %),
                           margin 5
    """
    evidence = card.evidence if chosen is None else tuple(chosen)
    if not evidence:
        return NO_EVIDENCE
    rows = _spoken_of(card, evidence)
    labels = [*_facts(evidence[0]), *(_named(card, name) for name in rows)]
    room = _LINE_WIDTH - max(map(len, labels))
    parts: list[str] = []
    for several in batched(evidence, max(1, room // (_DEPLOYMENT_WIDTH + 2))):
        header = ["", *map(_headed, several)]
        facts = [[label, *(_facts(one)[label] for one in several)] for label in _facts(several[0])]
        found = [[_named(card, name), *(_lines(_finding(one.of(name))) for one in several)] for name in rows]
        parts += [*_table([header, *facts, *found], _DEPLOYMENT_WIDTH), ""]
    return "\n".join([*parts, _wrapped(LEGEND, "")])


def card_markdown(card: BenchmarkCard) -> str:
    r"""A card as a Markdown document.

    Examples
    --------
    >>> from rctgap.card_rendering import card_markdown
    >>> from rctgap.cards import read_card
    >>> card = read_card({"benchmark_name": "Rash quiz", "task": {"a": {"question": "Who?", "answer": "<b>Two</b>"}}})
    >>> print("\n".join(card_markdown(card).splitlines()[:6]))
    # Rash quiz
    <BLANKLINE>
    ## What the benchmark assumes
    <BLANKLINE>
    | ID | question | answer | holds at deployment |
    |---|---|---|---|
    """
    stated = [[one.id, one.question, one.answer, one.holds_at_deployment] for one in card.assumptions]
    heading = [[label, text] for label, text in _heading(card)]
    parts = [f"# {_escaped(_title(card))}", markdown_table(["", ""], heading) if heading else ""]
    parts += ["## What the benchmark assumes", markdown_table(_COLUMNS, stated)]
    if card.evidence:
        header = ["", *map(_headed, card.evidence)]
        rows = _spoken_of(card, card.evidence)
        found = [
            [_named(card, name), *(_lines(_finding(one.of(name))).replace("\n", "; ") for one in card.evidence)]
            for name in rows
        ]
        facts = [_facts(one, whole=True) for one in card.evidence]
        parts += ["## What the data say", markdown_table(header, found), _escaped(LEGEND)]
        parts += [
            "## Where the figures come from",
            markdown_table(header, [[label, *(one[label] for one in facts)] for label in facts[0]]),
        ]
    parts += [
        "## Departures from the authors' schema",
        *(f"- {_escaped(text)}" for text in card.departures or ("None.",)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def card_html(card: BenchmarkCard) -> str:
    """A card as a page that needs nothing else: no script, no outside reference, every text of the card escaped.

    Examples
    --------
    >>> from rctgap.card_rendering import card_html
    >>> from rctgap.cards import read_card
    >>> card = read_card({"task": {"query_authorship": {"question": "Who?", "answer": "<script>x</script>"}}})
    >>> "<script>" in card_html(card), "&lt;script&gt;" in card_html(card)
    (False, True)
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "report" / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = _spoken_of(card, card.evidence)
    return environment.get_template("card.html.j2").render(
        title=_title(card),
        heading=tuple(_heading(card)),
        columns=_COLUMNS,
        statements=[(one.id, one.question, one.answer, one.holds_at_deployment) for one in card.assumptions],
        deployments=[_headed(one) for one in card.evidence],
        findings=[(_named(card, name), [_finding(one.of(name)) for one in card.evidence]) for name in rows],
        facts=[_facts(one, whole=True) for one in card.evidence],
        labels=list(_facts(card.evidence[0])) if card.evidence else (),
        legend=LEGEND,
        no_evidence=NO_EVIDENCE,
        departures=card.departures,
    )


def _shown(value: object) -> object:
    """Text without control characters; what is markup already stays."""
    return displayed(value) if type(value) is str else value


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    safe = displayed(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{mark}" if mark in "\\`*_[]|#" else mark for mark in safe)


def _title(card: BenchmarkCard) -> str:
    return displayed(card.name) or "(unnamed card)"


def _heading(card: BenchmarkCard) -> Iterator[tuple[str, str]]:
    """What stands over the tables: the card's own texts, as far as it has them."""
    texts = {
        "citation": card.citation,
        "version": card.version,
        "intended use": card.intended_use,
        "intended use holds": card.intended_use_holds,
        "deployment": card.deployment_context,
        "notes": card.notes,
        "SHA-256": card.sha256,
    }
    yield from ((label, displayed(text)) for label, text in texts.items() if not blank(text))


def _spoken_of(card: BenchmarkCard, evidence: Iterable[DeploymentEvidence]) -> tuple[str, ...]:
    """The card's assumptions, then those that only the evidence names."""
    return tuple(dict.fromkeys([*card.ids, *(row.assumption_id for one in evidence for row in one.assumptions)]))


def _named(card: BenchmarkCard, name: str) -> str:
    return name if name in card.ids else f"{displayed(name)} (not in the card)"


def _headed(one: DeploymentEvidence) -> str:
    return displayed(one.deployment) + ("" if one.final else " (NOT FINAL)")


def _facts(one: DeploymentEvidence, *, whole: bool = False) -> dict[str, str]:
    """Where a deployment's figures come from."""
    cut = None if whole else _HASH
    return {
        "final": "yes" if one.final else "no: a check forbids it",
        "estimand": one.estimand,
        "data of": one.data_date or NOT_STATED,
        "data, SHA-256": one.data_sha256[:cut] or NOT_STATED,
        "analysis, SHA-256": one.analysis_sha256[:cut] or NOT_STATED,
        "rctgap": one.version,
    }


def _finding(one: AssumptionEvidence | None) -> Finding:
    if one is None:
        return Finding("none", BLANK, told=NOT_SPOKEN_OF)
    joint = f"jointly with {', '.join(one.joint_with)}" if one.joint_with else ""
    return Finding(one.status, SIGNS[one.status], _figures(one), joint, one.evidence)


def _figures(one: AssumptionEvidence) -> str:
    """Estimate, interval and margin in points."""
    if one.estimate is None:
        return ""
    level = "" if one.level is None else f" at {100 * one.level:g} %"
    ends = "no interval" if one.lower is None or one.upper is None else f"{interval(one.lower, one.upper)}{level}"
    margin = "" if one.margin is None else f", margin {100 * one.margin:g}"
    return f"{points(one.estimate)} points ({ends}){margin}"


def _lines(found: Finding) -> str:
    return "\n".join(part for part in found[1:] if part)


def _wrapped(text: str, opening: str) -> str:
    return textwrap.fill(text, _LINE_WIDTH, initial_indent=opening, subsequent_indent=" " * len(opening))


def _departed(card: BenchmarkCard) -> list[str]:
    if not card.departures:
        return ["No departure from the authors' schema."]
    return ["Departures from the authors' schema:", *(_wrapped(sentence, "- ") for sentence in card.departures)]


def _statements(card: BenchmarkCard) -> list[str]:
    rows = [(row.id, row.question, row.answer, row.holds_at_deployment) for row in card.assumptions]
    return _table([_COLUMNS, *(tuple(map(displayed, row)) for row in rows)], _COLUMN_WIDTH)


def _table(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Aligned columns with a ruled header; cells are wrapped, the first column's never."""
    cells = [[_cell(text, column, width) for column, text in enumerate(row)] for row in rows]
    widths = [max(len(line) for row in cells for line in row[column]) for column in range(len(rows[0]))]
    lines = [[_aligned(parts, widths) for parts in zip_longest(*row, fillvalue="")] for row in cells]
    return [*lines[0], "  ".join("-" * width for width in widths), *(line for row in lines[1:] for line in row)]


def _cell(text: str, column: int, width: int) -> list[str]:
    if column == 0:
        return [text]
    return [
        line for part in text.split("\n") for line in textwrap.wrap(displayed(part), width, break_on_hyphens=False)
    ] or [""]


def _aligned(parts: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
