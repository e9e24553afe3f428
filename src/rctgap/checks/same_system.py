"""Every stage of a chain should carry the system under test."""

from itertools import pairwise

from rctgap.records import CheckResult, SystemRow
from rctgap.results import GapDecomposition

__all__ = ["same_system"]


def same_system(result: GapDecomposition) -> CheckResult:
    """Fail where a stage's rows are of another system than the one under test; the step is named."""
    by_arm = {arm: [row for row in result.systems if row.arm == arm] for arm in result.settings.arms}
    strange = {arm: rows for arm, rows in by_arm.items() if any(_strange(row) for row in rows)}
    if strange:
        detail = " ".join(_about(rows) for rows in strange.values())
        steps = {step for rows in strange.values() for step in _changes(rows)}
        consent = " The analysis consents to this (allow_mixed_systems)." if result.settings.allow_mixed_systems else ""
        return CheckResult("same_system", "fail", ";".join(_spoken_for(result, steps)), detail + consent)
    silent = dict.fromkeys(row.stage for row in result.systems if not row.found)
    partly = dict.fromkeys(f"{row.stage} in arm {row.arm}" for row in result.systems if row.unnamed)
    if silent or partly:
        told = [f"No system is stated for the rows of: {', '.join(silent)}."] if silent else []
        told += [f"Some rows name no system: {', '.join(partly)}."] if partly else []
        return CheckResult("same_system", "warning", "", " ".join(told))
    under_test = ", ".join(dict.fromkeys(row.under_test for row in result.systems))
    return CheckResult("same_system", "pass", "", f"Every stage's rows are of the system under test ({under_test}).")


def _strange(row: SystemRow) -> bool:
    return bool(row.found) and set(row.found) != {row.under_test}


def _changes(rows: list[SystemRow]) -> list[str]:
    """Stages into which the system changes."""
    return [
        after.stage for before, after in pairwise(rows) if before.found and after.found and before.found != after.found
    ]


def _spoken_for(result: GapDecomposition, steps: set[str]) -> list[str]:
    """Assumptions that these steps would otherwise have spoken to."""
    return [row.assumption_id for row in result.assumptions if row.transition in steps]


def _about(rows: list[SystemRow]) -> str:
    first = rows[0]
    others = "; ".join(f"{row.stage}: {', '.join(row.found)}" for row in rows if _strange(row))
    text = f"In arm {first.arm} the system under test is {first.under_test}; other rows stand behind {others}."
    steps = _changes(rows)
    if steps:
        text += f" The step into {' and into '.join(steps)} also contains a change of system"
        text += " and is not attributed to an assumption."
    if any(row.borrowed_from for row in rows if _strange(row)):
        text += (
            " If a borrowed stage was scored with the system under test, say so on that stage (system: {value: ...})."
        )
    return text
