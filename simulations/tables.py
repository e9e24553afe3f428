"""The committed studies as tables for people: writes simulations/README.md."""

from pathlib import Path

import pandas as pd
from staged_table import power_curve, staged_section
from study_tables import checks_section, pooling_section

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

HIERARCHICAL = """
## The hierarchical model: coverage at fixed truths

95 % equal-tailed posterior intervals of the hierarchical model, its default priors, one chain of {tune} + {draws}
draws, beside the frequentist intervals on the same trials: {benign} trials in four benign cells and {hard} in four
hard ones. Monte Carlo error of one quantity's coverage, at 95 %, in points: {errors}. `bayesian_coverage.py` says how
trials are drawn. They are the simulator's, not the model's own: neighbouring scores of an answer are correlated
normals cut at thresholds, and participants do not differ (participant correlation 0), for the model is fitted to
counts, without participants. "Effects" are the components, task, outcome and whole gap, and both effects against
control.

Default means are 90, 80, 65 and 40 %, control 47 %, item sd 0.8 (logit). "Near 0 and 1" are 98, 94, 90 and 6 %,
control 8 %, item sd 1.6. "Uneven mix" has means of 80, 70, 60 and 40 %, and answers half of the items six times as
often as the others; "one bad item in ten" 94.7, 83, 64 and 34 %, and those items carry all errors of the benchmark.
Each entry is the mean coverage, in brackets that of the quantity covered least, and after the slash the mean width
in points.
"""

WHERE = """
### Where it beats the frequentist default, and where not

The defaults are few-items for items random, CR2 for items fixed. An interval *covers* here if its mean coverage is
93 % or more; of two that cover, the narrower is better, if by 3 % or more. Cells of few trials say little.

In short: the model covers, benign or hard, items fixed or random, effects and stage means. With items fixed it is as
wide as CR2 or a little narrower. With items random its intervals for effects cover more than they need, about 98 %:
the prior leaves open that items differ far more, and less alike from stage to stage, than they do here. They are
narrower than few-items' where items are few, unevenly answered, or one is bad, and a little wider with ten items and
400 participants, or ten items near 0 and 1. Posterior means over a population are pulled from the edges: stage means by
up to 3.5 points, the gap by up to 5 and the decision step by up to 6 where means are near 0 and 1 (3.7 and 2.3 in
benign cells). With ten items near 0 and 1, one fit in ten has divergences at the target acceptance of this study (0.9),
and a result with any is not final; the package then samples again at 0.99.
"""

FITS = """
### What the sampler said

Bulk effective sample size of the reported quantity that has the least, out of {draws} draws; time of one fit on one
core of a busy machine, without compilation. Fits with divergences are counted as all others.
"""

BIAS = """
### Bias

Mean error of posterior mean and plug-in over the trials, in points, averaged over cells; in brackets the largest in
any cell. Monte Carlo error of one cell is up to {error} points.
"""

CALIBRATED = """
## The hierarchical model: simulation-based calibration

{trials} small trials a variant ({people} participants, two answers each, six items, {runs} runs an item and a control
arm), parameters from the default priors but for `item_sd` 1.5 (default 2.5), data from a generator that shares no code
with the model; ranks of the true value among 99 draws ({tune} + {draws}, thinned by {thin}) by `simuk`, for parameters,
the log likelihood and reported quantities. Chi-square tests of ten equal bins of ranks; Bonferroni at 5 % over a
variant's quantities. Rank plots show each quantity's empirical distribution less the uniform one, with the band that
holds all of them with chance 95 %.

`counts`, `uncorrelated`, `ordinal`, `fractional` and `misread` are fitted without participants; `fractional` has
narrower priors, for fractions under the default ones often lie closer to 0 or 1 than a double can say. Decisions of
`ordinal` have three levels, and are fitted on all three whether or not a trial shows them. Conversations of `misread`
are read by a scorer that errs, with 20 right and 20 wrong cases labelled.

Trial k starts from the same generator in every variant, so what variants show is not independent. No chi-square test
rejects; the smallest p-value, of the participant sd of decisions, is just above its threshold. One line of 349 leaves
its band: task gap, items fixed, of `uncorrelated` (simultaneous p = .0008, threshold .0012 over that variant's
quantities, .0002 over those of all variants).
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


EFFECTS = ("own_query", "conversation", "decision", "task", "outcome", "gap", "predicted_effect", "realized_effect")
BENIGN = "default means"
BY_MODEL = "hierarchical"
DEFAULTS = {"random": "few-items", "fixed": "CR2 by participant, t"}
COVERS, NARROWER = 0.93, 0.97
SAMPLED = {"tune": 400, "draws": 600}
RANKED = {"people": 60, "runs": 5, "tune": 300, "draws": 297, "thin": 3}
CELL = ["condition", "items", "participants", "trials"]


def markdown(lines: list[list[str]]) -> str:
    """Rows as a Markdown table, the first its head."""
    whole = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in whole)


def groups(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Effects and stage means apart."""
    effect = rows["quantity"].isin(EFFECTS)
    return {"effects": rows[effect], "stage means": rows[~effect & (rows["given"] > 0)]}


def spread(rows: pd.DataFrame) -> str:
    """Mean coverage, the least, and mean width."""
    mean, lowest, width = rows["coverage"].mean(), rows["coverage"].min(), rows["width"].mean()
    return f"{100 * mean:.0f} ({100 * lowest:.0f}) / {100 * width:.0f}"


def beside(rows: pd.DataFrame) -> str:
    """Cells down; the model and the frequentist intervals across."""
    methods = [one for one in dict.fromkeys(rows["method"]) if not one.startswith("refused")]
    lines = [[*CELL, *methods]]
    for cell, part in rows.groupby(CELL, sort=False):
        shown = [part[part["method"] == one] for one in methods]
        lines.append([*map(str, cell), *("" if one.empty else spread(one) for one in shown)])
    return markdown(lines)


def verdict(ours: pd.DataFrame, theirs: pd.DataFrame) -> str:
    """Which of two intervals is better over some quantities."""
    holds, default = ours["coverage"].mean() >= COVERS, theirs["coverage"].mean() >= COVERS
    ratio = ours["width"].mean() / theirs["width"].mean()
    change = f"{100 * abs(1 - ratio):.0f} % {'narrower' if ratio < 1 else 'wider'}"
    if holds != default:
        return (
            f"better: covers where the default does not, {change}" if holds else f"worse: covers too little, {change}"
        )
    if not holds:
        return f"neither covers, {change}"
    if ratio <= NARROWER:
        return f"better: {change}"
    return f"worse: {change}" if ratio >= 1 / NARROWER else "about the same"


def verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """The model against the default in every cell."""
    found = []
    for name, part in groups(rows).items():
        for (truth, *cell), one in part.groupby(["truth", *CELL], sort=False):
            ours, theirs = (one[one["method"] == method] for method in (BY_MODEL, DEFAULTS[truth]))
            found.append((f"items {truth}", name, *cell, verdict(ours, theirs)))
    return pd.DataFrame(found, columns=["truth", "quantities", *CELL, "verdict"])


def verdict_table(rows: pd.DataFrame) -> str:
    """Verdicts, one column a truth and kind of quantity."""
    found = verdicts(rows)
    heads = list(dict.fromkeys(zip(found["truth"], found["quantities"], strict=True)))
    lines = [[*CELL[:3], *(f"{truth}: {name}" for truth, name in heads)]]
    for cell, part in found.groupby(CELL, sort=False):
        told = {(one.truth, one.quantities): one.verdict for one in part.itertuples()}
        lines.append([*map(str, cell[:3]), *(told.get(head, "") for head in heads)])
    return markdown(lines)


def bias_table(rows: pd.DataFrame) -> str:
    """Mean and largest bias of each quantity, by region, for the model and the default."""
    regions = {"benign": rows["condition"] == BENIGN, "hard": rows["condition"] != BENIGN}
    heads = [
        (region, truth, method)
        for region in regions
        for truth in DEFAULTS
        for method in (BY_MODEL, "cluster2, t(S-1)" if truth == "random" else DEFAULTS[truth])
    ]
    shown = {BY_MODEL: "model"}
    lines = [
        ["quantity", *(f"{region}, items {truth}: {shown.get(method, 'plug-in')}" for region, truth, method in heads)]
    ]
    for quantity in dict.fromkeys(rows.loc[rows["given"] > 0, "quantity"]):
        cells = []
        for region, truth, method in heads:
            chosen = regions[region] & (rows["truth"] == truth) & (rows["method"] == method)
            bias = 100 * rows.loc[chosen & (rows["quantity"] == quantity), "bias"]
            cells.append(f"{bias.mean():+.1f} ({bias.iloc[bias.abs().argmax()]:+.1f})")
        lines.append([quantity.replace("_", " "), *cells])
    return markdown(lines)


def plain_table(rows: pd.DataFrame) -> str:
    """A table as it is."""
    head = [one.replace("_", " ") for one in rows.columns]
    return markdown([head, *([str(value) for value in row] for row in rows.itertuples(index=False))])


def hierarchical() -> list[str]:
    """Coverage of the hierarchical model."""
    rows = pd.read_csv(HERE / "coverage_bayesian.csv")
    told = pd.read_csv(HERE / "coverage_bayesian_fits.csv")
    benign, hard = told[told["condition"] == BENIGN]["trials"], told[told["condition"] != BENIGN]["trials"]
    sizes = sorted(set(told["trials"]))
    errors = ", ".join(f"{100 * (0.95 * 0.05 / size) ** 0.5:.1f} with {size} trials" for size in sizes)
    head = HIERARCHICAL.format(benign=benign.sum(), hard=hard.sum(), errors=errors, **SAMPLED)
    parts = [head]
    for truth, name in (("random", "Items random"), ("fixed", "Items fixed")):
        for kind, part in groups(rows[rows["truth"] == truth]).items():
            parts += [f"\n### {name}: {kind}\n", beside(part)]
    error = 100 * rows["bias_mc_error"].max()
    return [
        *parts,
        WHERE,
        verdict_table(rows),
        BIAS.format(error=f"{error:.1f}"),
        bias_table(rows),
        FITS.format(**SAMPLED),
        plain_table(told),
    ]


def calibrated() -> list[str]:
    """Calibration of the hierarchical model."""
    tests = pd.read_csv(HERE / "calibration_tests.csv")
    lines = [["variant", "trials", "quantities", "smallest p", "of", "threshold", "fits with divergences"]]
    figures = []
    for study, part in tests.groupby("study", sort=False):
        least = part.loc[part["p_value"].idxmin()]
        ranks = pd.read_csv(HERE / f"calibration_ranks_{study}.csv")
        diverged = int((ranks["divergent"] > 0).sum())
        numbers = [f"{least['p_value']:.4f}", least["quantity"], f"{0.05 / len(part):.4f}", str(diverged)]
        lines.append([str(study), str(len(ranks)), str(len(part)), *numbers])
        figures.append(f"\n![Ranks of the variant {study}](calibration_{study}.svg)")
    return [
        CALIBRATED.format(trials=tests["trials"].min(), **RANKED),
        markdown(lines),
        *figures,
    ]


RECTIFIED = """## Scores from an automatic scorer

Three AI arms of 100 participants with two answers each, two stages, an automatic scorer whose errors differ by arm and
stage or are the same everywhere; {trials:,} trials a cell. Coverage of nominal 95 % intervals in %, from the lowest to
the highest of means by arm and stage and of losses between stages, and their mean width in points. The Monte Carlo
error of one figure is at most {error:.1f} points.
"""


def rectification() -> str:
    """What labels do to intervals where scores are automatic."""
    rows = pd.read_csv(HERE / "rectification.csv")
    head = RECTIFIED.format(trials=rows["trials"].max(), error=100 * rows["mc_error"].max())
    grouped = rows.groupby(["condition", "labels", "method"], sort=False)
    found = grouped.agg(low=("coverage", "min"), high=("coverage", "max"), width=("width", "mean")).reset_index()
    lines = ["| errors | labels | method | coverage | width |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {one.condition} | {one.labels} | {one.method} "
        f"| {100 * one.low:.0f} to {100 * one.high:.0f} | {100 * one.width:.0f} |"
        for one in found.itertuples()
    ]
    return f"{head}\n" + "\n".join(lines) + "\n"


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
        *hierarchical(),
        *calibrated(),
        f"\n{rectification()}",
        staged_section(),
        checks_section(),
        pooling_section(),
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write the page and the figure of its last section."""
    power_curve()
    (HERE / "README.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
