"""What a result depends on: a common cause, the outcome's measure, the order of stages, single items and people."""

from collections.abc import Iterator

from rctgap.check_records import BiasRow, InfluenceRow, OrderRow, OutcomeRow
from rctgap.common_cause import e_value, limit_nearer_one, observed_ratio
from rctgap.report.blocks import Block, Paragraph, Section, Table
from rctgap.report.columns import for_arms, without_blanks
from rctgap.report.words import MINUS, arm_name, counted, figure, measured, quantity, ratio, shown_arms, signed
from rctgap.results import GapDecomposition
from rctgap.stage_orders import MEAN, SHAPLEY
from rctgap.tables import BLANK, interval_name

__all__ = ["common_cause_section", "influence_section", "orders_section", "outcomes_section"]

TIES = (1.5, 2.0, 3.0, 4.0, 6.0)
CAUSAL = (
    "The outcome component describes how answers were seen to flow, and needs no assumption about causes. To read "
    "uptake as what a right conversation does to a decision, no unmeasured cause may make both more likely, such as "
    "knowing the field. Such a cause is described by two risk ratios: how it is tied to a right conversation, and to "
    "a right decision. The E-value is the size that both must have, at the least, to explain the ratio away."
)
ALONE = "Leaving out one unit at a time shows who carries a figure. It is no test; the result keeps all of them."


def common_cause_section(result: GapDecomposition, pictures: tuple[Block, ...]) -> Section | None:
    """Uptake's risk ratio under an unmeasured common cause; None where there is no ratio."""
    rows = [row for arm in shown_arms(result) if (row := observed_ratio(result.bias, arm)) is not None]
    rows = [row for row in rows if row.ratio is not None]
    if not rows:
        return None
    blocks: list[Block] = [Paragraph(CAUSAL), *pictures, for_arms(_e_values(result, rows), result)]
    blocks.append(_grid(result, rows[0].arm))
    return Section("An unmeasured common cause", tuple(blocks))


def _e_values(result: GapDecomposition, rows: list[BiasRow]) -> Table:
    header = (
        *("arm", "uptake over self-rescue", f"{100 * rows[0].level:g} % interval", "E-value of the estimate"),
        *("E-value of the limit nearer 1", "note"),
    )
    cells = tuple(
        (
            arm_name(result, row.arm),
            ratio(row.ratio),
            BLANK if row.lower is None else f"{ratio(row.lower)} to {ratio(row.upper)}",
            ratio(e_value(row.ratio or 1.0)),
            _of_limit(row),
            row.note or BLANK,
        )
        for row in rows
    )
    caption = "Risk ratio of a right decision after a right and after a wrong conversation"
    return Table(caption, header, cells, heads=1, numbers=frozenset({1, 2, 3, 4}), wide=frozenset({5}))


def _of_limit(row: BiasRow) -> str:
    if row.ratio is None or row.lower is None or row.upper is None:
        return BLANK
    return ratio(e_value(limit_nearer_one(row.ratio, row.lower, row.upper)))


def _grid(result: GapDecomposition, arm: str) -> Table:
    """The ratio that would be left under causes of each strength."""
    found = {(row.with_conversation, row.with_decision): row for row in result.bias if row.arm == arm}
    header = ("tied to conversation by", *(f"to decision by {one:g}" for one in TIES))
    cells = tuple((f"{one:g}", *(_left(found.get((one, other))) for other in TIES)) for one in TIES)
    caption = (
        f"The ratio that is left if a common cause has done its most, with its interval, {arm_name(result, arm)}; "
        "1 would be nothing"
    )
    return Table(caption, header, cells, heads=1, numbers=frozenset(range(1, len(TIES) + 1)))


def _left(row: BiasRow | None) -> str:
    if row is None or row.ratio is None:
        return BLANK
    ends = "" if row.lower is None else f" ({ratio(row.lower)} to {ratio(row.upper)})"
    return f"{ratio(row.ratio)}{ends}"


def outcomes_section(result: GapDecomposition) -> Section | None:
    """Accuracy and realized effect by several measures of the last stage; None where there is one."""
    labels = (*shown_arms(result), result.settings.control)
    rows = [row for row in result.outcomes if row.arm in labels]
    if not rows:
        return None
    last = quantity(result.settings.stages[-1])
    names = ", ".join(quantity(name) for name in dict.fromkeys(row.other for row in rows if row.other))
    told = (
        f"The last stage is measured by {last}, and the same answers also by {names}. Only answers that have both "
        "measures count here. Which measure is right is not for these data to say; that a result depends on it is."
    )
    effects = [row for row in rows if row.quantity == "realized_effect" and row.level == result.settings.level]
    shares = [row for row in rows if row.quantity == "accuracy" and row.level == result.settings.level]
    blocks: list[Block] = [Paragraph(told)]
    if effects:
        blocks.append(_measures(result, effects, "Difference from the control arm in points, by each measure"))
    if shares:
        blocks.append(_measures(result, shares, "Right answers in percent, by each measure"))
    agreed = [row for row in rows if row.quantity == "agreement" and row.estimate is not None]
    if agreed:
        blocks.append(_agreement(result, agreed))
    return Section("Other measures of the outcome", tuple(blocks))


def _measures(result: GapDecomposition, rows: list[OutcomeRow], caption: str) -> Table:
    """Both measures and their difference side by side."""
    keys = dict.fromkeys((row.arm, row.other) for row in rows if row.other)
    found = {(row.arm, row.outcome, row.other): row for row in rows}
    last = result.settings.stages[-1]
    own = {row.arm: row for row in rows if row.outcome == last}
    cells = []
    for arm, other in keys:
        trio = (own.get(arm), found.get((arm, other, "")), found.get((arm, "difference", other)))
        note = next((row.note for row in trio if row is not None and row.note), BLANK)
        size = next((row.n for row in trio if row is not None and row.n is not None), None)
        cells.append((arm_name(result, arm), quantity(other), *map(_value, trio), counted(size), note))
    level = interval_name(rows[0].level, ())
    header = ("arm", "other measure", quantity(last), "other", "difference", "answers", "note")
    table = Table(f"{caption}, with {level}", header, tuple(cells), 2, frozenset({2, 3, 4, 5}), frozenset({6}))
    return without_blanks(table) if rows[0].quantity == "accuracy" else for_arms(table, result)


def _value(row: OutcomeRow | None) -> str:
    if row is None or row.estimate is None:
        return BLANK
    if row.quantity == "accuracy" and row.outcome != "difference":
        return measured(row.estimate, row.lower, row.upper)
    if row.lower is None:
        return f"{signed(row.estimate)} (no interval)"
    return f"{signed(row.estimate)} ({signed(row.lower)} to {signed(row.upper)})"


def _agreement(result: GapDecomposition, rows: list[OutcomeRow]) -> Table:
    cells = tuple(
        (
            arm_name(result, row.arm),
            quantity(row.other),
            _kappa(row.estimate),
            BLANK if row.lower is None else f"{_kappa(row.lower)} to {_kappa(row.upper)}",
            row.note.removeprefix("kappa").removeprefix("; ") or BLANK,
        )
        for row in rows
    )
    header = ("arm", "other measure", "kappa", f"{100 * rows[0].level:g} % interval", "note")
    caption = "Agreement of the two measures, answer by answer, beyond chance"
    return without_blanks(Table(caption, header, cells, 2, frozenset({2, 3}), frozenset({4})))


def _kappa(value: float | None) -> str:
    return ratio(value).replace("-", MINUS)


def orders_section(result: GapDecomposition) -> Section | None:
    """Components under every observed order of the stages; None where there is one order alone."""
    rows = [row for row in result.orders if row.transition and row.arm in shown_arms(result)]
    orders = tuple(dict.fromkeys(row.order for row in rows if row.order not in (MEAN, SHAPLEY)))
    if len(orders) < 2:  # noqa: PLR2004 - one order has nothing to compare with
        return None
    missing = [row for row in result.orders if not row.transition]
    told = (
        "A component is what is lost when its assumption is relaxed after those before it, so it depends on the order. "
        f"The data hold the means that {len(orders)} orders pass through."
    )
    unseen = f" Not observed: {'; '.join(row.order or row.note for row in missing)}." if missing else ""
    return Section("Other orders of the stages", (Paragraph(f"{told}{unseen}"), _orders(result, rows, orders)))


def _orders(result: GapDecomposition, rows: list[OrderRow], orders: tuple[str, ...]) -> Table:
    averages = tuple(dict.fromkeys(row.order for row in rows if row.order in (MEAN, SHAPLEY)))
    steps = tuple(dict.fromkeys(row.transition for row in rows))
    found = {(row.arm, row.order, row.transition): row for row in rows}
    cells = tuple(
        (arm_name(result, arm), _order_name(order), *(_lost(found.get((arm, order, step))) for step in steps))
        for arm in shown_arms(result)
        for order in (*orders, *averages)
    )
    header = ("arm", "order", *map(quantity, steps))
    caption = f"Points lost at each step, with {interval_name(rows[0].level, ())}"
    return for_arms(Table(caption, header, cells, 2, frozenset(range(2, len(header)))), result)


def _order_name(order: str) -> str:
    names = {MEAN: "mean over these orders", SHAPLEY: "mean over all orders (Shapley value)"}
    return names.get(order, quantity(order))


def _lost(row: OrderRow | None) -> str:
    return BLANK if row is None else measured(row.estimate, row.lower, row.upper)


def influence_section(result: GapDecomposition) -> Section | None:
    """Figures without one item, and without the participant who moves them most; None where nothing was left out."""
    arms = shown_arms(result)
    rows = [row for row in result.influence if row.arm in arms]
    tables = tuple(_influence(result, rows))
    return Section("Without one item, without one participant", (Paragraph(ALONE), *tables)) if tables else None


def _influence(result: GapDecomposition, rows: list[InfluenceRow]) -> Iterator[Table]:
    """Items, the first arm's alone, with every quantity side by side; then participants."""
    first = shown_arms(result)[0]
    items = [row for row in rows if row.unit == "item" and row.arm == first]
    if items:
        names = tuple(dict.fromkeys(row.quantity for row in items))
        found = {(row.left_out, row.quantity): row for row in items}
        cells = tuple(
            (item, *(_moved(found.get((item, name))) for name in names))
            for item in dict.fromkeys(row.left_out for row in items)
        )
        others = "; other arms are in leave_one_out.csv" if len(result.settings.arms) > 1 else ""
        caption = f"Points without each item, and the change, {arm_name(result, first)}{others}"
        header = ("without item", *map(quantity, names))
        yield Table(caption, header, cells, 1, frozenset(range(1, len(header))))
    people = [row for row in rows if row.unit == "participant"]
    if people:
        level = f"{100 * people[0].level:g} % interval"
        cells = tuple(
            (
                arm_name(result, row.arm),
                quantity(row.quantity),
                row.left_out,
                measured(row.estimate, row.lower, row.upper),
                signed(row.change),
                row.note or BLANK,
            )
            for row in people
        )
        header = ("arm", "quantity", "without", f"points, {level}", "change", "note")
        caption = "Points without the participant who moves them most"
        table = Table(caption, header, cells, 2, frozenset({3, 4}), frozenset({5}))
        yield for_arms(without_blanks(table), result)


def _moved(row: InfluenceRow | None) -> str:
    if row is None or row.estimate is None:
        return BLANK
    return f"{figure(row.estimate)} ({signed(row.change)})"
