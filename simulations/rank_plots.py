"""Are the ranks of calibration.py uniform? A chi-square test of each quantity, and one figure a study of all of them.

A line is the empirical distribution of a quantity's ranks less the uniform one; the band holds all lines of a figure
with chance 95 % if all are uniform (Bonferroni over its quantities; simultaneous over ranks as Sailynoja, Burkner and
Vehtari 2022, doi 10.1007/s11222-022-10090-6, by simulation).
"""

import re
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

HERE = Path(__file__).parent
RANKS, BINS, ALPHA = 100, 10, 0.05
STUDIES = ("participants", "counts", "uncorrelated", "two_arms", "ordinal", "fractional", "misread")
NOT_RANKS = ("trial", "divergent")
SIMULATED = 20_000
STEP = slice(1, None, 2)


def ranks_of(study: str) -> pd.DataFrame:
    """The committed ranks of a study, one column a quantity."""
    return pd.read_csv(HERE / f"calibration_ranks_{study}.csv")


def tests(study: str) -> pd.DataFrame:
    """Chi-square p-value of each quantity, equal bins of ranks."""
    table = ranks_of(study)
    found = []
    for name in table.columns.drop(list(NOT_RANKS)):
        counts = np.bincount(table[name] * BINS // RANKS, minlength=BINS)
        found.append((study, name, len(table), float(table[name].mean()), float(stats.chisquare(counts).pvalue)))
    return pd.DataFrame(found, columns=["study", "quantity", "trials", "mean_rank", "p_value"])


def envelope(trials: int, quantities: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Lower and upper edge, at each rank, of the band for the empirical distribution less the uniform one."""
    rng = np.random.default_rng(RANKS)
    shares = np.arange(1, RANKS + 1) / RANKS
    smallest = np.empty(SIMULATED)
    for one in range(SIMULATED):
        reached = np.cumsum(np.bincount(rng.integers(0, RANKS, trials), minlength=RANKS))[:-1]
        below, above = stats.binom.cdf(reached, trials, shares[:-1]), stats.binom.sf(reached - 1, trials, shares[:-1])
        smallest[one] = 2 * np.minimum(below, above).min()
    pointwise = np.quantile(smallest, ALPHA / quantities)
    lower, upper = (stats.binom.ppf(q, trials, shares) / trials - shares for q in (pointwise / 2, 1 - pointwise / 2))
    return lower, upper


def outside(study: str) -> list[str]:
    """Quantities whose line leaves the band."""
    table = ranks_of(study)
    names = table.columns.drop(list(NOT_RANKS))
    lower, upper = envelope(len(table), len(names))
    share = np.arange(1, RANKS + 1) / RANKS
    lines = {name: np.cumsum(np.bincount(table[name], minlength=RANKS)) / len(table) - share for name in names}
    edge = 1e-12
    return [name for name, line in lines.items() if (line < lower - edge).any() or (line > upper + edge).any()]


def panels(names: list[str]) -> dict[str, list[str]]:
    """Quantities by panel."""
    fixed = [name for name in names if name.endswith("items fixed")]
    random = [name for name in names if name.endswith("items random")]
    rest = [name for name in names if name not in {*fixed, *random}]
    return {"parameters, log likelihood": rest, "reported, items fixed": fixed, "reported, items random": random}


def figure(study: str) -> Figure:
    """All quantities of a study."""
    table = ranks_of(study)
    names = list(table.columns.drop(list(NOT_RANKS)))
    lower, upper = envelope(len(table), len(names))
    share = np.arange(1, RANKS + 1) / RANKS
    drawn = Figure(figsize=(9, 2.6), layout="constrained")
    for axes, (title, shown) in zip(drawn.subplots(1, 3, sharey=True), panels(names).items(), strict=True):
        axes.fill_between(share, lower, upper, color="#dddddd", linewidth=0)
        for name in shown:
            reached = np.cumsum(np.bincount(table[name], minlength=RANKS)) / len(table)
            axes.plot(share[STEP], (reached - share)[STEP], color="#1f5f8b", linewidth=0.6, alpha=0.7)
        axes.set_title(f"{title} ({len(shown)})", fontsize=9)
        axes.set_xlabel("rank / 100", fontsize=8)
        axes.tick_params(labelsize=7)
    drawn.suptitle(f"{study.replace('_', ' ')}: {len(table)} trials", fontsize=10)
    return drawn


def main() -> None:
    """Write the figures and the table of tests."""
    mpl.rcParams |= {"svg.hashsalt": "rctgap", "svg.fonttype": "none", "path.simplify": True}
    pd.concat([tests(one) for one in STUDIES]).round(5).to_csv(HERE / "calibration_tests.csv", index=False)
    for one in STUDIES:
        written = StringIO()
        figure(one).savefig(written, format="svg", metadata={"Date": None})
        short = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", written.getvalue())
        (HERE / f"calibration_{one}.svg").write_text(short, encoding="utf-8")


if __name__ == "__main__":
    main()
