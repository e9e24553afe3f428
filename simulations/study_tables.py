"""The committed studies of false alarms and of pooling as sections of simulations/README.md."""

from pathlib import Path

import pandas as pd

__all__ = ["checks_section", "pooling_section"]

HERE = Path(__file__).parent
HEAD = """## Checks on clean trials

`checks.py` draws {trials:,} randomised trials a size of two AI arms and a control arm, with effects, and with nothing
wrong of what the checks look for. How often each warns or fails, in % of the trials that it applies to (Monte Carlo
error at 1 %: {error:.1f} points). Checks that have no chance of their own here are left out.

The rule of `stage_order` was set on these very trials, after one of two standard errors had alarmed in 7.5 and 10.8 %
of them; its row was counted by itself, on the same seeds, after the others. On 120 trials a size from another seed,
which had no part in the choice, the rule alarmed in one of each.
"""
POOLED = """
## Several trials pooled

`pooling.py` draws {syntheses:,} syntheses a cell of trials whose true values differ with standard deviation tau.
Coverage of nominal 95 % intervals in % (Monte Carlo error at most {error:.1f} points), and their mean width in points.
"""


def checks_section() -> str:
    """Share of alarms by check and number of participants per arm."""
    rows = pd.read_csv(HERE / "checks.csv")
    rows = rows[rows["applicable"] > 0]
    sizes = sorted(set(rows["participants"]))
    trials = int(rows["trials"].min())
    lines = [
        "| check | " + " | ".join(f"{size:,} per arm" for size in sizes) + " |",
        "| --- |" + " --- |" * len(sizes),
    ]
    for check in dict.fromkeys(rows["check"]):
        rate = rows[rows["check"] == check].set_index("participants")["rate"]
        lines.append(f"| {check} | " + " | ".join(f"{100 * rate[size]:.1f}" for size in sizes) + " |")
    head = HEAD.format(trials=trials, error=100 * (0.01 * 0.99 / trials) ** 0.5)
    return "\n".join([head, *lines]) + "\n"


def pooling_section() -> str:
    """Coverage and width of intervals over several trials."""
    rows = pd.read_csv(HERE / "pooling.csv")
    lines = ["| trials | tau | method | of | coverage | width |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| {one.trials} | {one.tau:g} | {one.method} | {one.quantity} "
        f"| {100 * one.coverage:.0f} | {100 * one.width:.0f} |"
        for one in rows.itertuples()
    ]
    head = POOLED.format(syntheses=int(rows["replicates"].min()), error=100 * rows["mc_error"].max())
    return "\n".join([head, *lines]) + "\n"
