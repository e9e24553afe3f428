"""The committed study of staged evaluation as a section of simulations/README.md."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from rctgap.plots import svg
from rctgap.plots.style import settled

__all__ = ["power_curve", "staged_section"]

HERE = Path(__file__).parent
HEAD = """## Staged evaluation

`staged.py` draws trials of one AI arm with two answers a participant, and tests three steps in order against a margin
of 5 points at alpha 5 %. First the errors: components lie at the margin, all of them or one; {trials:,} trials a cell,
Monte Carlo error {error:.1f} points at 5 %. The standard error is that of the least precise step, in margins.
"Lost only": the benchmark is 98 % right, few answers change, and all one way.
"""
POWER = """
Then the power: all three components are equal and smaller ({trials:,} trials a cell). Chance in % that the first step
is said to hold, and that all three are.

![Chance that all three steps are said to hold, by true component and participants](staged_power.svg)
"""


def staged_section() -> str:
    """Chances of false and of true statements."""
    rows = pd.read_csv(HERE / "staged.csv")
    any_step = rows[rows["step"] == "any"]
    errors, power = any_step[any_step["false_holds"].notna()], any_step[any_step["false_holds"].isna()]
    size = errors["trials"].min()
    lines = [
        "| components | items | participants | standard error | any false `holds`, % |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {one.condition} | {_items(one)} | {one.participants} | {one.std_error_in_margins:.2f} "
        f"| {100 * one.false_holds:.1f} |"
        for one in errors.itertuples()
    ]
    curve = [
        "| components | items | participants | standard error | first | all three |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in power.itertuples():
        mine = rows[
            (rows["condition"] == one.condition)
            & (rows["items"] == one.items)
            & (rows["participants"] == one.participants)
        ]
        first, last = (float(mine.loc[mine["step"] == step, "holds"].iloc[0]) for step in ("own_query", "decision"))
        curve.append(
            f"| {one.condition} | {_items(one)} | {one.participants} | {one.std_error_in_margins:.2f} "
            f"| {100 * first:.0f} | {100 * last:.0f} |"
        )
    head = HEAD.format(trials=size, error=100 * (0.05 * 0.95 / size) ** 0.5)
    return "\n".join([head, *lines, POWER.format(trials=power["trials"].min()), *curve]) + "\n"


def _items(one: tuple[object, ...]) -> str:
    return "fixed" if one.items == "fixed" else f"random, {one.item_count}"  # type: ignore[attr-defined]


def power_curve() -> None:
    """Draw the chance that all three steps are said to hold: writes staged_power.svg."""
    rows = pd.read_csv(HERE / "staged.csv")
    last = rows[(rows["step"] == "decision") & (rows["items"] == "fixed")]
    equal = last[last["condition"].str.endswith("points") | (last["condition"] == "all at the margin")]
    with settled():
        figure = Figure(figsize=(5.8, 3.6), layout="constrained")
        axes = figure.add_subplot()
        looks = zip(equal.groupby("participants"), ("-", "--", "-.", ":"), strict=True)
        for (size, mine), style in looks:
            shown = mine.sort_values("component")
            axes.plot(100 * shown["component"], 100 * shown["holds"], style, color="#1f2430", label=f"{size:,}")
        axes.axhline(5, color="#9fa8b5", linewidth=1)
        axes.set_xlabel("true component of every step, points (the margin is 5)")
        axes.set_ylabel("chance that all three\nare said to hold, %")
        axes.set_title("How often three equal steps are all said to hold", loc="left", fontsize=11, weight="bold")
        axes.legend(title="participants", frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        (HERE / "staged_power.svg").write_text(svg(figure, "staged-power"), encoding="utf-8")
