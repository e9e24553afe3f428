"""The page of a synthesis: trials side by side, pooled, with what the pooling assumes."""

from pathlib import Path

from rctgap.plots.pooled import pooled as pooled_figure
from rctgap.plots.vector import svg
from rctgap.report.blocks import (
    Block,
    Bullets,
    Chapter,
    Notice,
    Paragraph,
    Picture,
    Reference,
    References,
    Section,
    Table,
)
from rctgap.report.columns import without_blanks
from rctgap.report.markdown import markdown_page
from rctgap.report.webpage import page
from rctgap.report.words import counted, figure, listed, long_interval, measured, quantity, span
from rctgap.result_folders import Index
from rctgap.synthesis_records import HARTUNG_KNAPP, HIERARCHICAL, SHRUNKEN, Synthesis, SynthesisRow
from rctgap.synthesis_text import arm_line, count_line, estimand_line, prior_line, quantity_name
from rctgap.tables import BLANK, chance, p_value, percent

__all__ = ["write_synthesis_report"]

TITLE = "Results of several trials"
SOURCES = (
    ("Paule and Mandel 1982, the variance between trials", "10.6028/jres.087.022"),
    ("Hartung and Knapp 2001, the interval", "10.1002/sim.1009"),
    ("Roever, Knapp and Friede 2015, the ad hoc correction", "10.1186/s12874-015-0091-1"),
    ("Viechtbauer 2007, the Q-profile interval of tau", "10.1002/sim.2514"),
    ("Higgins, Thompson and Spiegelhalter 2009, prediction", "10.1111/j.1467-985X.2008.00552.x"),
    ("Roever 2020, Bayesian random effects by quadrature", "10.18637/jss.v093.i06"),
)

HOW = (
    (
        "Random effects: each trial has a true value of its own. The variance between trials is Paule and Mandel's; "
        "its interval is where the generalised Q is not extreme (Q-profile)."
    ),
    (
        "Hartung-Knapp interval at t with one degree of freedom fewer than trials, with the ad hoc correction "
        "max(1, q): it is never narrower than the normal one."
    ),
    (
        "A new trial's true value: the mean plus and minus t, with two degrees of freedom fewer than trials, times the "
        "root of tau squared plus the squared standard error."
    ),
)
LIMITS = (
    (
        "Standard errors count as known. Where an interval is wider than its standard error says (a population of "
        "items, a stage at 0 or 100 %), the standard error that its width stands for is used."
    ),
    (
        "Shares enter with their delta-method standard error, only where Fieller's set is bounded. Components of one "
        "trial are dependent; each quantity is pooled by itself, so pooled components need not add up to the gap."
    ),
    "Pooling assumes that the trials were not chosen for their results.",
)


def write_synthesis_report(synthesis: Synthesis, place: Path) -> tuple[Path, ...]:
    """Write report.html, report.md and figures/pooled.svg of a synthesis into its folder.

    Parameters
    ----------
    synthesis : Synthesis
    place : Path
        An existing folder.

    Returns
    -------
    tuple of Path
        The files written.
    """
    drawing = svg(pooled_figure(synthesis), "pooled")
    told, over = _chapter(synthesis, drawing), Index(TITLE)
    (place / "figures").mkdir(exist_ok=True)
    files = {
        place / "report.html": page([], [told], over),
        place / "report.md": markdown_page([], [told], over),
        place / "figures" / "pooled.svg": drawing,
    }
    for path, text in files.items():
        path.write_text(text, encoding="utf-8", newline="\n")
    return tuple(files)


def _chapter(synthesis: Synthesis, drawing: str) -> Chapter:
    sections = [_opening(synthesis), _pooled(synthesis), _trials_apart(synthesis, drawing), _results(synthesis)]
    if synthesis.pooled:
        sections += [_shrunken(synthesis), _methods(synthesis)]
    return Chapter("synthesis", TITLE, tuple(one for one in sections if one.blocks))


def _opening(synthesis: Synthesis) -> Section:
    blocks: list[Block] = [Paragraph(_lead(synthesis), lead=True)]
    not_final = [one.name for one in synthesis.trials if not one.final]
    if not_final:
        blocks.append(Notice("Not final", tuple(f"{name} is not final." for name in not_final), tone="final"))
    if synthesis.warnings:
        blocks.append(Notice("Read these numbers with", synthesis.warnings))
    if synthesis.left_out:
        blocks.append(Notice("Shown and not pooled", tuple(f"{text}." for text in synthesis.left_out)))
    return Section("", tuple(blocks))


def _lead(synthesis: Synthesis) -> str:
    """How many trials, and the gap with its families."""
    whose = f"{count_line(synthesis)} side by side ({arm_line(synthesis)})."
    if not synthesis.pooled:
        return f"{whose} Nothing is pooled."
    found = [
        (name, synthesis.found(name, kind, HARTUNG_KNAPP))
        for name, kind in synthesis.quantities()
        if kind in ("gap", "family")
    ]
    told = [f"{quantity(name)} {measured(*_three(row))}" for name, row in found if row is not None]
    if not told:
        return f"{whose} Neither the gap nor its families can be pooled."
    level = f"{100 * synthesis.level:g} %"
    return f"{whose} Pooled over trials, in points with {level} Hartung-Knapp intervals: {'; '.join(told)}."


def _three(row: SynthesisRow) -> tuple[float | None, float | None, float | None]:
    return row.estimate, row.lower, row.upper


def _pooled(synthesis: Synthesis) -> Section:
    """Pooled means both ways, and how much the trials differ."""
    means, spread = [], []
    for name, kind in synthesis.quantities():
        one, other = (synthesis.found(name, kind, method) for method in (HARTUNG_KNAPP, HIERARCHICAL))
        if one is None or other is None:
            continue
        shown = quantity(quantity_name(name, kind))
        figures = [measured(*_three(row)) for row in (one, other)]
        chances = [chance(other.prob_positive), chance(other.prob_within_margin)]
        means.append((shown, listed(one.assumption_ids), counted(one.k), *figures, *chances))
        spread.append(_spread(shown, one, other))
    if not means:
        return Section("", ())
    level, margin = f"{100 * synthesis.level:g} %", f"{100 * synthesis.margin:g}"
    header: tuple[str, ...] = (
        "quantity",
        "assumptions",
        "trials",
        "Hartung-Knapp",
        "Bayesian",
        "P(> 0)",
        f"P(under {margin} either way)",
    )
    caption = f"The mean over trials: losses and effects in points, shares in %, with {level} intervals"
    first = Table(caption, header, tuple(means), numbers=frozenset(range(2, 7)), wide=frozenset({1}))
    header = ("quantity", "tau", "tau, Bayesian", "I2, %", "Q", "p of Q", "new trial", "new trial, Bayesian")
    caption = f"How much the trials differ: tau and where a new trial would lie, in points or %, with {level} intervals"
    second = Table(caption, header, tuple(spread), numbers=frozenset(range(1, 8)))
    return Section("Pooled", (Paragraph(estimand_line(synthesis).capitalize() + "."), without_blanks(first), second))


def _spread(shown: str, one: SynthesisRow, other: SynthesisRow) -> tuple[str, ...]:
    return (
        shown,
        f"{figure(one.tau)}{long_interval(one.tau_lower, one.tau_upper)}",
        f"{figure(other.tau)}{long_interval(other.tau_lower, other.tau_upper)}",
        percent(one.i2, 0),
        BLANK if one.q is None else f"{one.q:.1f}",
        p_value(one.q_p),
        span(one.prediction_lower, one.prediction_upper),
        span(other.prediction_lower, other.prediction_upper),
    )


def _trials_apart(synthesis: Synthesis, drawing: str) -> Section:
    """The forest, and every quantity of every trial."""
    rows = tuple(
        (quantity(quantity_name(*one)), row.trial, _cell(row), percent(row.weight, 0), row.note or BLANK)
        for one in synthesis.quantities()
        for row in synthesis.of_trial(*one)
    )
    caption = f"Every trial: losses and effects in points, shares in %, with {100 * synthesis.level:g} % intervals"
    header = ("quantity", "result", "estimate", "weight, %", "note")
    table = without_blanks(Table(caption, header, rows, heads=2, numbers=frozenset({2, 3}), wide=frozenset({4})))
    return Section("Side by side", (Picture("pooled", "Forest of the trials", drawing), table))


def _cell(row: SynthesisRow) -> str:
    return measured(*_three(row))


def _shrunken(synthesis: Synthesis) -> Section:
    """Each trial's true value, with what the others lend it."""
    names = tuple(one.name for one in synthesis.trials)
    rows = []
    for name, kind in synthesis.quantities():
        found = {
            row.trial: row for row in synthesis.rows if (row.quantity, row.kind, row.method) == (name, kind, SHRUNKEN)
        }
        if found:
            cells = (_cell(found[one]) if one in found else BLANK for one in names)
            rows.append((quantity(quantity_name(name, kind)), *cells))
    if not rows:
        return Section("", ())
    caption = f"The true value in each trial, given all of them: points or %, {100 * synthesis.level:g} % intervals"
    table = Table(caption, ("quantity", *names), tuple(rows), numbers=frozenset(range(1, 1 + len(names))))
    told = Paragraph(
        "The hierarchical model pulls each trial towards the mean, the more so the less it knows by itself."
    )
    return Section("Each trial, given the others", (told, table))


def _results(synthesis: Synthesis) -> Section:
    rows = tuple(
        (
            one.name,
            one.title or BLANK,
            ", ".join(one.arms),
            counted(one.n_participants),
            counted(one.n_answers),
            counted(one.n_items),
            one.method,
            "yes" if one.final else "no",
            one.result_sha256[:12],
        )
        for one in synthesis.trials
    )
    header = ("result", "title", "AI arms", "participants", "answers", "items", "method", "final", "SHA-256, first 12")
    table = Table(
        f"What was compared: {arm_line(synthesis)}", header, rows, numbers=frozenset({3, 4, 5}), wide=frozenset({1})
    )
    return Section("The results", (table,))


def _methods(synthesis: Synthesis) -> Section:
    prior = f"{prior_line(synthesis)}. By quadrature over tau, without sampling; the same priors for shares."
    sources = tuple(Reference(text, f"doi {doi}", f"https://doi.org/{doi}") for text, doi in SOURCES)
    return Section("Methods", (Bullets((*HOW, prior, *LIMITS)), References(sources)))
