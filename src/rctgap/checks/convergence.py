"""Whether the chains behind a posterior converged, for every quantity that is reported."""

from collections.abc import Iterator

from rctgap.records import CheckResult, PosteriorRow
from rctgap.results import GapDecomposition

__all__ = ["FEWEST_EFFECTIVE", "HIGHEST_R_HAT", "LOWEST_EBFMI", "convergence"]

HIGHEST_R_HAT = 1.01
FEWEST_EFFECTIVE = 400.0
LOWEST_EBFMI = 0.3
NAMED = 3


def convergence(result: GapDecomposition) -> CheckResult:
    """Fail where any reported quantity, or the sampler itself, shows that chains have not converged.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), doi 10.1214/20-BA1221; Betancourt (2016), arXiv 1604.00695.
    """
    made = result.sampling
    if made is None:
        return CheckResult("convergence", "not_applicable", "", "The result holds no posterior.")
    if made.independent:
        return CheckResult("convergence", "not_applicable", "", "The posterior's draws are independent.")
    rows = [row for row in result.posterior if row.std_dev is not None]
    faults = [*_of_sampler(result), *_of_quantities(rows)]
    chains = f"{made.chains} chains of {made.draws} draws ({made.sampler})"
    if not faults:
        lowest = min((min(row.ess_bulk or 0.0, row.ess_tail or 0.0) for row in rows), default=0.0)
        highest = max((row.r_hat or 0.0 for row in rows), default=0.0)
        told = f"{chains}: no divergence; highest R-hat {highest:.3f}, smallest effective size {lowest:.0f}"
        return CheckResult("convergence", "pass", "", f"{told}, over {len(rows)} quantities.")
    consent = " The run consents to this (--allow-unconverged)." if result.settings.allow_unconverged else ""
    return CheckResult("convergence", "fail", "", f"{chains}: {'; '.join(faults)}.{consent}")


def _of_sampler(result: GapDecomposition) -> Iterator[str]:
    made = result.sampling
    if made is not None and made.divergences:
        yield f"{made.divergences} divergences"
    if made is not None and made.min_ebfmi is not None and made.min_ebfmi < LOWEST_EBFMI:
        yield f"E-BFMI {made.min_ebfmi:.2f}, below {LOWEST_EBFMI:g}"


def _of_quantities(rows: list[PosteriorRow]) -> Iterator[str]:
    """What is wrong with which quantities, the worst first."""
    unknown = [row for row in rows if row.r_hat is None or row.ess_bulk is None or row.ess_tail is None]
    if unknown or not rows:
        yield f"too few draws to tell ({_named([(row, '') for row in unknown])})" if rows else "no quantity has draws"
    high = sorted(((row.r_hat or 0.0, row) for row in rows), key=lambda one: -one[0])
    bad = [(row, f" {value:.3f}") for value, row in high if value > HIGHEST_R_HAT]
    if bad:
        yield f"R-hat above {HIGHEST_R_HAT:g}: {_named(bad)}"
    for name, field in (("bulk", "ess_bulk"), ("tail", "ess_tail")):
        given = [(getattr(row, field), row) for row in rows if getattr(row, field) is not None]
        few = [
            (row, f" {value:.0f}")
            for value, row in sorted(given, key=lambda one: float(one[0]))
            if value < FEWEST_EFFECTIVE
        ]
        if few:
            yield f"{name} effective size below {FEWEST_EFFECTIVE:.0f}: {_named(few)}"


def _named(found: list[tuple[PosteriorRow, str]]) -> str:
    shown = [f"{_name(row)}{value}" for row, value in found[:NAMED]]
    return ", ".join(shown) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")


def _name(row: PosteriorRow) -> str:
    what = f"stage {row.quantity}" if row.kind == "stage" else row.quantity
    return f"{what} in {row.arm} (items {row.items}, {row.item_weights} mix)"
