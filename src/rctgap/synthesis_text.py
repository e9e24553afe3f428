"""What `rctgap compare` prints: results side by side, and pooled."""

from collections.abc import Iterator

from rctgap.estimands import ALL_ARMS
from rctgap.synthesis_records import HARTUNG_KNAPP, HIERARCHICAL, Synthesis, SynthesisRow
from rctgap.tables import BLANK, chance, interval, p_value, percent, text_table

__all__ = ["arm_line", "count_line", "estimand_line", "measured_text", "prior_line", "quantity_name", "synthesis_text"]

WIDE = 4


def synthesis_text(synthesis: Synthesis) -> str:
    """The console's account of a synthesis.

    Parameters
    ----------
    synthesis : Synthesis

    Returns
    -------
    str
        Losses and effects in points, shares in percent, each with its interval.
    """
    head = [f"{count_line(synthesis)}, {arm_line(synthesis)}", estimand_line(synthesis)]
    parts = ["\n".join(line for line in head if line), _side_by_side(synthesis)]
    if synthesis.pooled:
        parts += [*_pooled_tables(synthesis), "\n".join(_how(synthesis))]
    parts += [f"Left out: {text}." for text in synthesis.left_out]
    parts += [f"Warning: {text}" for text in synthesis.warnings]
    return "\n\n".join(part for part in parts if part)


def count_line(synthesis: Synthesis) -> str:
    """How many results."""
    return "1 result" if len(synthesis.trials) == 1 else f"{len(synthesis.trials)} results"


def arm_line(synthesis: Synthesis) -> str:
    """Which arm's rows are shown."""
    if synthesis.arm == ALL_ARMS:
        return "arm all of each, the mean over its AI arms"
    return f"arm {synthesis.arm} of each"


def estimand_line(synthesis: Synthesis) -> str:
    """What the results have in common; the assumptions stand beside the components."""
    common = [f"{name} {value}" for name, value in synthesis.estimand if not name.startswith("assumptions of")]
    return f"in common: {', '.join(common)}" if common else ""


def quantity_name(quantity: str, kind: str) -> str:
    """A quantity, or its share of the gap."""
    return f"share of {quantity}" if kind == "share" else quantity


def measured_text(row: SynthesisRow | None) -> str:
    """A figure in points or percent with its interval."""
    if row is None or row.estimate is None:
        return BLANK
    ends = interval(row.lower, row.upper)
    return f"{percent(row.estimate)} ({'no interval' if ends == BLANK else ends})"


def prior_line(synthesis: Synthesis) -> str:
    """The priors of the Bayesian pooling."""
    return (
        f"Bayesian: mean over trials ~ Normal(0, {synthesis.mu_sd:g}), tau ~ half-normal({synthesis.tau_scale:g}), as "
        "proportions (--mu-sd, --tau-scale)"
    )


def _side_by_side(synthesis: Synthesis) -> str:
    """One column a trial; one row a trial and quantity where there are many."""
    names = [one.name for one in synthesis.trials]
    level = f"{100 * synthesis.level:g} % intervals"
    if len(names) > WIDE:
        rows = [
            [quantity_name(*one), row.trial, measured_text(row)]
            for one in synthesis.quantities()
            for row in synthesis.of_trial(*one)
        ]
        return text_table(["quantity", "result", f"points or % ({level})"], rows, left=(0, 1))
    table = [
        [quantity_name(*one), *(measured_text(row) for row in synthesis.of_trial(*one))]
        for one in synthesis.quantities()
    ]
    return f"Side by side, in points (shares in %), with {level}:\n\n{text_table(['quantity', *names], table)}"


def _pooled_tables(synthesis: Synthesis) -> Iterator[str]:
    """The mean over trials both ways, then how much the trials differ."""
    means, spread = [], []
    for quantity, kind in synthesis.quantities():
        one = synthesis.found(quantity, kind, HARTUNG_KNAPP)
        other = synthesis.found(quantity, kind, HIERARCHICAL)
        if one is None or other is None:
            continue
        name = quantity_name(quantity, kind)
        chances = [chance(other.prob_positive), chance(other.prob_within_margin)]
        means.append([name, str(one.k), measured_text(one), measured_text(other), *chances])
        spread.append([name, *_spread_cells(one, other)])
    if means:
        margin = f"P(under {100 * synthesis.margin:g} either way)"
        header = ["pooled", "trials", "Hartung-Knapp", "Bayesian", "P(> 0)", margin]
        yield f"The mean over trials:\n\n{text_table(header, means)}"
        header = ["pooled", "tau", "Bayesian tau", "I2 %", "p of Q", "new trial", "new trial, Bayesian"]
        yield f"How much the trials differ:\n\n{text_table(header, spread)}"


def _spread_cells(one: SynthesisRow, other: SynthesisRow) -> list[str]:
    return [
        f"{percent(one.tau)} ({interval(one.tau_lower, one.tau_upper)})",
        f"{percent(other.tau)} ({interval(other.tau_lower, other.tau_upper)})",
        percent(one.i2, 0),
        p_value(one.q_p),
        interval(one.prediction_lower, one.prediction_upper),
        interval(other.prediction_lower, other.prediction_upper),
    ]


def _how(synthesis: Synthesis) -> Iterator[str]:
    level = f"{100 * synthesis.level:g} %"
    yield f"Pooled: random effects, Paule-Mandel tau; {level} Hartung-Knapp intervals, ad hoc correction max(1, q)."
    yield f"{prior_line(synthesis)}; {level} equal-tailed intervals."
    yield "New trial: where the true value of another such trial would lie, not cut to what is possible."
