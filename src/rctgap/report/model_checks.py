"""Whether a posterior can be relied on: its sampler, its priors, how it predicts, how it compares."""

from collections.abc import Iterator, Sequence

from rctgap.criticism import SENSITIVE, TAIL, outside
from rctgap.records import FitRow, PosteriorRow, PredictiveRow, PriorRow
from rctgap.report.blocks import Block, Paragraph, Section, Table
from rctgap.report.columns import without_blanks
from rctgap.report.posterior import chosen_rows
from rctgap.report.words import MINUS, arm_name, counted, figure, quantity, ratio, shown_arms, span
from rctgap.results import GapDecomposition
from rctgap.tables import BLANK, chance, number

__all__ = ["model_checks_section", "sampling_sentence"]

WORST = 10
DECIMAL_R_HAT = 3
LARGE_R_HAT = 1.01
SMALL_ESS = 400.0


def model_checks_section(result: GapDecomposition, pictures: tuple[Block, ...]) -> Section | None:
    """Sampler, sensitivity, priors, predictive checks and fits; None where there is no posterior."""
    rows = chosen_rows(result)
    if not rows:
        return None
    blocks: list[Block] = [Paragraph(text) for text in (sampling_sentence(result, rows), _sensitivity(rows)) if text]
    blocks += _diagnostics(result, rows)
    blocks += _priors(result)
    blocks += _predictive(result, pictures)
    blocks += _fits(result)
    return Section("Priors and model checks", tuple(blocks)) if blocks else None


def sampling_sentence(result: GapDecomposition, rows: Sequence[PosteriorRow]) -> str:
    """How draws were made, and the worst of their diagnostics."""
    made, told = result.sampling, []
    if made is not None and not made.independent:
        tuned = f" after {counted(made.tune)} tuning steps each" if made.tune else ""
        told.append(f"{made.sampler}: {made.chains} chains of {counted(made.draws)} draws{tuned}, seed {made.seed}.")
    elif made is not None:
        told.append(
            f"{counted(made.chains * made.draws)} independent draws ({made.sampler}, seed {made.seed}), so that there "
            "are no chains to diagnose."
        )
    worst = []
    if r_hats := [row.r_hat for row in rows if row.r_hat is not None]:
        worst.append(f"largest R-hat {max(r_hats):.{DECIMAL_R_HAT}f}")
    bulk, tails = ([one for one in sizes if one is not None] for sizes in _sizes(rows))
    if bulk and tails:
        sizes = f"{counted(min(bulk))} in the bulk and {counted(min(tails))} in the tails"
        worst.append(f"smallest effective sample size {sizes}")
    if made is not None and made.divergences is not None:
        worst.append("1 divergence" if made.divergences == 1 else f"{counted(made.divergences)} divergences")
    if made is not None and made.min_ebfmi is not None:
        worst.append(f"lowest E-BFMI {ratio(made.min_ebfmi)}")
    if worst:
        told.append(f"Over all quantities: {', '.join(worst)}.")
    return " ".join(told)


def _sizes(rows: Sequence[PosteriorRow]) -> tuple[list[float | None], list[float | None]]:
    return [row.ess_bulk for row in rows], [row.ess_tail for row in rows]


def _sensitivity(rows: Sequence[PosteriorRow]) -> str:
    """Which quantities depend on the prior, in words."""
    known = [row for row in rows if row.prior_sensitivity is not None]
    if not known:
        return ""
    prior = [row for row in known if (row.prior_sensitivity or 0.0) > SENSITIVE]
    how = (
        "Sensitivity is how fast a posterior moves when the prior (or the likelihood) is raised to a power a little "
        f"over or under 1; {SENSITIVE:g} is the usual mark."
    )
    if not prior:
        return f"{how} No quantity is over it for the prior: a somewhat weaker or stronger prior would change little."
    parts = []
    conflict = [row for row in prior if (row.likelihood_sensitivity or 0.0) > SENSITIVE]
    alone = [row for row in prior if row not in conflict]
    if conflict:
        parts.append(f"prior and data pull on {_listed(conflict)}, so that the prior moves what the data say")
    if alone:
        parts.append(f"the prior rather than the data decides {_listed(alone)}")
    return f"{how} Over it for the prior: {'; '.join(parts)}. Report these with another prior beside."


def _listed(rows: Sequence[PosteriorRow]) -> str:
    return ", ".join(dict.fromkeys(map(_short_name, rows)))


def _short_name(row: PosteriorRow) -> str:
    return f"{quantity(row.quantity)} (stage mean)" if row.kind == "stage" else quantity(row.quantity)


def _diagnostics(result: GapDecomposition, rows: Sequence[PosteriorRow]) -> list[Block]:
    first = shown_arms(result)[0]
    shown = [row for row in rows if _diagnosed(row) and (row.arm == first or _stands_out(row))]
    if not shown:
        return []
    caption = f"Chains and sensitivity, quantity by quantity, for {arm_name(result, first)}"
    others = "" if len(result.settings.arms) == 1 else ", and whatever stands out elsewhere"
    table = Table(
        f"{caption}{others}",
        ("arm", "quantity", "R-hat", "ESS, bulk", "ESS, tails", "sensitivity to the prior", "sensitivity to the data"),
        tuple(_diagnostic_cells(result, row) for row in shown),
        heads=2,
        numbers=frozenset({2, 3, 4, 5, 6}),
    )
    return [without_blanks(table)]


def _diagnosed(row: PosteriorRow) -> bool:
    found = (row.r_hat, row.ess_bulk, row.prior_sensitivity, row.likelihood_sensitivity)
    return any(one is not None for one in found)


def _stands_out(row: PosteriorRow) -> bool:
    """Whether chains disagree on a row, carry little, or its prior matters."""
    apart = row.r_hat is not None and row.r_hat > LARGE_R_HAT
    little = any(one is not None and one < SMALL_ESS for one in (row.ess_bulk, row.ess_tail))
    return apart or little or (row.prior_sensitivity or 0.0) > SENSITIVE


def _diagnostic_cells(result: GapDecomposition, row: PosteriorRow) -> tuple[str, ...]:
    return (
        arm_name(result, row.arm),
        _short_name(row),
        BLANK if row.r_hat is None else f"{row.r_hat:.{DECIMAL_R_HAT}f}",
        counted(row.ess_bulk),
        counted(row.ess_tail),
        ratio(row.prior_sensitivity),
        ratio(row.likelihood_sensitivity),
    )


def _priors(result: GapDecomposition) -> list[Block]:
    if not result.priors:
        return []
    table = Table(
        "Priors, on the logit scale unless they say otherwise",
        ("prior", "value", "default", "distribution", "what it means"),
        tuple(_prior_cells(row) for row in result.priors),
        numbers=frozenset({1, 2}),
        wide=frozenset({4}),
    )
    changed = [row for row in result.priors if row.value != row.default]
    if not changed:
        return [without_blanks(table), Paragraph("Every prior is the default.")]
    names = ", ".join(quantity(row.prior) for row in changed)
    return [without_blanks(table), Paragraph(f"Other than the default: {names}.")]


def _prior_cells(row: PriorRow) -> tuple[str, ...]:
    values = (number(row.value).replace("-", MINUS), number(row.default).replace("-", MINUS))
    return (quantity(row.prior), *values, row.distribution, row.meaning or BLANK)


def _predictive(result: GapDecomposition, pictures: tuple[Block, ...]) -> list[Block]:
    known = [row for row in result.predictive if row.p_value is not None]
    if not known:
        return []
    whole, cells = [row for row in known if not row.item], [row for row in known if row.item]
    blocks: list[Block] = [Paragraph(" ".join(_counts(whole, cells))), *pictures]
    if whole:
        caption = "Whole arms: the mean that was observed, and what the fitted model predicts for it, %"
        blocks.append(_predictive_table(result, caption, whole))
    if cells:
        worst = sorted(cells, key=lambda row: min(row.p_value or 0.0, 1.0 - (row.p_value or 0.0)))[:WORST]
        caption = f"The {len(worst)} items farthest from what the model predicts, of {len(cells)}, %"
        blocks.append(_predictive_table(result, caption, worst))
    return blocks


def _counts(whole: Sequence[PredictiveRow], cells: Sequence[PredictiveRow]) -> Iterator[str]:
    yield (
        "The fitted model was asked to predict the data that it was fitted to. P is the probability of a larger mean "
        "than the one observed: near 0 or 1 the model misses what it should describe."
    )
    for what, rows in (("arm means", whole), ("item means", cells)):
        if rows:
            found = sum(outside(row.p_value) for row in rows)
            yield (
                f"Of {len(rows)} {what}, {found} {'has' if found == 1 else 'have'} P outside {TAIL:g} to {1 - TAIL:g}; "
                f"chance alone would give at most about {2 * TAIL * len(rows):.1f}."
            )
    yield "Fewer is usual, since the same data fitted the model."


def _predictive_table(result: GapDecomposition, caption: str, rows: Sequence[PredictiveRow]) -> Table:
    table = Table(
        caption,
        ("arm", "stage", "item", "n", "observed", "predicted", "interval", "P", "outside", "note"),
        tuple(_predictive_cells(result, row) for row in rows),
        heads=3,
        numbers=frozenset({3, 4, 5, 6, 7}),
        wide=frozenset({9}),
    )
    return without_blanks(table)


def _predictive_cells(result: GapDecomposition, row: PredictiveRow) -> tuple[str, ...]:
    names = (arm_name(result, row.arm), quantity(row.stage), row.item or BLANK)
    figures = (counted(row.n), figure(row.observed), figure(row.predicted), span(row.lower, row.upper))
    return (*names, *figures, chance(row.p_value), "! outside" if outside(row.p_value) else "no", row.note or BLANK)


def _fits(result: GapDecomposition) -> list[Block]:
    if not result.fits:
        return []
    units = result.fits[0].units
    table = Table(
        f"How well models predict {units} left out (best first)",
        ("model", "log predictive density", "error", "parameters in effect", "less than the best", "its error", "note"),
        tuple(_fit_cells(row) for row in result.fits),
        numbers=frozenset({1, 2, 3, 4, 5}),
        wide=frozenset({6}),
    )
    told = (
        f"Each of the {units} is left out in turn and predicted from the others (leave-one-out cross-validation, by "
        "importance weights). A difference of less than 4, or of less than twice its error, does not tell models apart."
    )
    return [Paragraph(told), without_blanks(table)]


def _fit_cells(row: FitRow) -> tuple[str, ...]:
    values = (row.elpd, row.std_error, row.p_loo, row.difference, row.difference_std_error)
    return (quantity(row.model), *(_one_decimal(value) for value in values), row.note or BLANK)


def _one_decimal(value: float | None) -> str:
    """A number to one decimal, with a true minus and no minus before zero."""
    if value is None:
        return BLANK
    text = f"{abs(value):,.1f}"
    return f"{MINUS}{text}" if value < 0 and text != "0.0" else text
