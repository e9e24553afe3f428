"""The committed studies as tables for people: writes simulations/README.md."""

from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
FEWEST = 20
GROUPS = ("analytic", "resampled", "wild", "stages")
HEAD = """# How often intervals cover

Nominal 95 % intervals on {cells} cells: seven conditions, 6 to 50 items, 100 to 1,300 participants in two arms
(an AI arm and a control arm, two answers each, 30 benchmark runs an item). `make simulations` runs it again;
`coverage.py` says how trials are drawn, and the `coverage_*.csv` beside it hold every cell, quantity and method
with its Monte Carlo error and mean width.

Formulas were tried on {analytic} trials a cell (Monte Carlo error {analytic_error} points at 95 %), bootstraps
({replicates} replicates) on the first {resampled} of them ({resampled_error} points), wild bootstraps on the
first {wild}, for {tested}, and stage means on the first {stages}.

Each entry is the mean coverage over the quantities (components, task, gap, predicted and realized effect) and
numbers of participants, in %, and in brackets the lowest of them, which Monte Carlo error alone takes a few points
below the mean.
"""

REFUSED = """
In some trials of {cells} cells an arm had no answer to an item: no result for items fixed. With 50 items and 100
participants that was nearly every trial; the few others count by their number."""


def committed() -> pd.DataFrame:
    """Every committed row."""
    return pd.concat([pd.read_csv(HERE / f"coverage_{group}.csv") for group in GROUPS], ignore_index=True)


def entry(rows: pd.DataFrame) -> str:
    """Mean coverage over trials, and the lowest where more than a few trials gave an interval."""
    mean = (rows["coverage"] * rows["given"]).sum() / rows["given"].sum()
    lowest = rows.loc[rows["given"] >= FEWEST, "coverage"].min()
    return f"{100 * mean:.0f} ({100 * lowest:.0f})"


def table(rows: pd.DataFrame) -> str:
    """Conditions and items down, methods across, as Markdown."""
    order = list(dict.fromkeys(rows["method"]))
    conditions = pd.Categorical(rows["condition"], list(dict.fromkeys(rows["condition"])), ordered=True)
    rows = rows.assign(condition=conditions)
    grouped = rows.groupby(["condition", "items", "method"], observed=True)[["coverage", "given"]]
    shown = grouped.apply(entry).rename("coverage")
    wide = shown.reset_index().pivot_table("coverage", ["condition", "items"], "method", aggfunc="first", observed=True)
    wide = wide[order].fillna("")
    head = ["condition", "items", *order]
    lines = [
        head,
        ["---"] * len(head),
        *([*map(str, index), *cells] for index, cells in zip(wide.index, wide.to_numpy(), strict=True)),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page() -> str:
    """The whole page."""
    rows = committed()
    size = {group: pd.read_csv(HERE / f"coverage_{group}.csv")["trials"].max() for group in GROUPS}
    error = {group: f"{100 * (0.95 * 0.05 / size[group]) ** 0.5:.1f}" for group in GROUPS}
    tested = sorted(set(rows.loc[rows["method"].str.startswith("wild"), "quantity"]))
    head = HEAD.format(
        cells=len(rows[["condition", "items", "participants"]].drop_duplicates()),
        analytic=size["analytic"],
        analytic_error=error["analytic"],
        resampled=size["resampled"],
        resampled_error=error["resampled"],
        replicates=399,
        stages=size["stages"],
        wild=size["wild"],
        tested=", ".join(one.replace("_", " ") for one in tested),
    )
    refused = rows["method"].str.startswith("refused")
    share, stage = (rows["quantity"].str.startswith(word) for word in ("share", "mean of"))
    random, fixed = rows["truth"] == "random", (rows["truth"] == "fixed") & ~refused
    width = rows[random & ~share & ~stage].groupby("method", sort=False)["width"].mean()
    lost = rows[refused].drop_duplicates(["condition", "items", "participants"])
    parts = [
        head,
        "## Items random: the truth of the population\n",
        table(rows[random & ~share & ~stage]),
        "\nMean widths in points: " + ", ".join(f"{name} {100 * value:.0f}" for name, value in width.items()) + ".",
        "\n## Items random: shares of the gap\n",
        table(rows[random & share]),
        "\n## Items random: stage means\n",
        table(rows[random & stage]),
        "\n## Items fixed: the truth of these items\n",
        table(rows[fixed & ~share & ~stage]),
        REFUSED.format(cells=len(lost)),
        "\n## Items fixed: shares of the gap\n",
        table(rows[fixed & share]),
        "\n## Items fixed: stage means\n",
        table(rows[fixed & stage]),
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write the page."""
    (HERE / "README.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
