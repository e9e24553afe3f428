"""Whether the prior moves what a posterior says of components, families or the gap."""

from rctgap.criticism import SENSITIVE
from rctgap.records import CheckResult, PosteriorRow
from rctgap.results import GapDecomposition

__all__ = ["prior_sensitivity"]

KINDS = ("component", "family", "gap")
HOW = f"Power-scaling sensitivity of components, families and gap; {SENSITIVE:g} is the usual mark."


def prior_sensitivity(result: GapDecomposition) -> CheckResult:
    """Warn where a reported quantity is more sensitive to the prior than the usual mark.

    References
    ----------
    Kallioinen, Paananen, Buerkner and Vehtari (2024), doi 10.1007/s11222-023-10366-5.
    """
    if not result.posterior:
        return CheckResult("prior_sensitivity", "not_applicable", "", "The result holds no posterior.")
    rows = [row for row in _chosen(result) if row.kind in KINDS and row.prior_sensitivity is not None]
    if not rows:
        detail = "This posterior has no prior that could be made weaker or stronger."
        return CheckResult("prior_sensitivity", "not_applicable", "", detail)
    moved = [row for row in rows if (row.prior_sensitivity or 0.0) > SENSITIVE]
    ids = _ids(result, moved or rows)
    if not moved:
        highest = max(row.prior_sensitivity or 0.0 for row in rows)
        detail = f"{HOW} Highest for the prior {highest:.3f}, over {len(rows)} quantities."
        return CheckResult("prior_sensitivity", "pass", ids, detail)
    conflict = [row for row in moved if (row.likelihood_sensitivity or 0.0) > SENSITIVE]
    weak = [row for row in moved if row not in conflict]
    parts = []
    if conflict:
        parts.append(f"prior and data pull on {_named(conflict)}, so that the prior moves what the data say")
    if weak:
        parts.append(f"the prior rather than the data decides {_named(weak)}")
    detail = f"{HOW} Over it for the prior: {'; '.join(parts)}. Report these with another prior beside."
    return CheckResult("prior_sensitivity", "warning", ids, detail)


def _chosen(result: GapDecomposition) -> list[PosteriorRow]:
    """Rows of the estimand that was asked for, else of the first there is."""
    asked = (result.settings.items, result.settings.item_weights)
    there = [(row.items, row.item_weights) for row in result.posterior]
    wanted = asked if asked in there else there[0]
    return [row for row in result.posterior if (row.items, row.item_weights) == wanted]


def _named(rows: list[PosteriorRow]) -> str:
    return ", ".join(f"{row.quantity} in {row.arm} ({row.prior_sensitivity or 0.0:.2f})" for row in rows)


def _ids(result: GapDecomposition, rows: list[PosteriorRow]) -> str:
    """Assumptions of the transitions that the rows are of."""
    chain = () if result.estimates is None else result.estimates.scores.chain.transitions
    names = {row.quantity for row in rows}
    touched = [one for one in chain if "gap" in names or one.family in names or one.to in names]
    return ";".join(dict.fromkeys(name for one in touched for name in one.assumptions))
