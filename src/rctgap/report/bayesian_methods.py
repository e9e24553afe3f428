"""How a posterior was made, in words, and where each part comes from."""

from collections.abc import Iterator

from rctgap.records import PriorRow
from rctgap.report.words import MINUS, counted, quantity
from rctgap.results import GapDecomposition
from rctgap.tables import number

__all__ = ["bayesian_methods", "bayesian_sources"]

FITTED = {
    "hierarchical": (
        "One model of all stages: each stage's scores given the stage before, the benchmark runs and the control arm's "
        "decisions, on the logit scale, with effects of stage, arm and item (an item's effects correlated across "
        "stages), and of participants where they answer more than once. Stage means are averages over participants "
        "and, where items are random, over new items; effects and components are differences of stage means, draw by "
        "draw."
    ),
    "bayesian bootstrap": (
        "In each draw participants (answers, where participants are not identified; items too, where they are random) "
        "get weights from a flat Dirichlet distribution, and every quantity is computed with these weights. No "
        "distribution of the scores is assumed, and there is no prior to set."
    ),
}
MEANS = (
    "Estimates are posterior means, so that components add up to the gap; medians stand beside them in the posterior's "
    "own table."
)
SOURCES = {
    "hierarchical": (
        ("Lewandowski, Kurowicka and Joe 2009, prior of correlations", "10.1016/j.jmva.2009.04.008"),
        ("Hoffman and Gelman 2014, the No-U-Turn sampler", "10.48550/arXiv.1111.4246"),
    ),
    "bayesian bootstrap": (("Rubin 1981, the Bayesian bootstrap", "10.1214/aos/1176345338"),),
}
CHAINS = ("Vehtari et al. 2021, R-hat and effective sample size", "10.1214/20-BA1221")
SCALED = ("Kallioinen et al. 2023, power-scaling sensitivity", "10.1007/s11222-023-10366-5")
PREDICTED = ("Gabry et al. 2019, predictive checks", "10.1111/rssa.12378")
LEFT_OUT = ("Vehtari, Gelman and Gabry 2017, leave-one-out cross-validation", "10.1007/s11222-016-9696-4")


def bayesian_methods(result: GapDecomposition) -> Iterator[str]:
    """What was fitted, from which priors, and how it was drawn; nothing where there is no posterior."""
    estimators = _estimators(result)
    if not estimators:
        return
    yield " ".join(
        (
            *(
                f"Bayesian, {name.removeprefix('bayesian ')}: {FITTED.get(name, '')}".rstrip(" :")
                for name in estimators
            ),
            MEANS,
        )
    )
    if result.priors:
        yield f"Priors: {'; '.join(_prior(row) for row in result.priors)}."
    made = result.sampling
    if made is not None:
        versions = ", ".join(f"{name} {version}" for name, version in made.versions)
        many = f"{made.chains} chains of {counted(made.draws)} draws"
        length = f"{counted(made.chains * made.draws)} independent draws" if made.independent else many
        tuned = f" after {counted(made.tune)} tuning steps" if made.tune else ""
        accept = f", target acceptance {made.target_accept:g}" if made.target_accept is not None else ""
        sampler = f"{made.sampler} ({versions})" if versions else made.sampler
        yield f"Drawn by {sampler}: {length}{tuned}{accept}, seed {made.seed}."


def _estimators(result: GapDecomposition) -> tuple[str, ...]:
    rows = (*result.main(), *result.alternatives)
    bayesian = [row.estimator for row in rows if row.method == "bayesian"]
    return tuple(dict.fromkeys((*(row.estimator for row in result.posterior), *bayesian)))


def _prior(row: PriorRow) -> str:
    value, default = (number(one).replace("-", MINUS) for one in (row.value, row.default))
    told = f"{quantity(row.prior)} {value} ({row.distribution}"
    return f"{told})" if row.value == row.default else f"{told}; default {default})"


def bayesian_sources(result: GapDecomposition) -> Iterator[tuple[str, str]]:
    """Works behind what was used, by DOI."""
    for name in _estimators(result):
        yield from SOURCES.get(name, ())
    applies = (
        (CHAINS, any(row.r_hat is not None for row in result.posterior)),
        (SCALED, any(row.prior_sensitivity is not None for row in result.posterior)),
        (PREDICTED, bool(result.predictive)),
        (LEFT_OUT, bool(result.fits)),
    )
    yield from (source for source, hit in applies if hit)
