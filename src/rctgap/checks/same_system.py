"""Every stage of a chain should carry the system under test."""

from rctgap.results import CheckResult, GapDecomposition, SystemRow

__all__ = ["same_system"]


def same_system(result: GapDecomposition) -> CheckResult:
    """Fail where a stage's rows are of another system than the one under test; the step is named."""
    strange = [row for row in result.systems if row.found and set(row.found) != {row.under_test}]
    silent = [row for row in result.systems if not row.found]
    if strange:
        steps = {row.stage for row in _first_of_each_arm(result.systems)}
        ids = _assumptions(result, steps)
        detail = " ".join(_about(result, row) for row in _first_of_each_arm(result.systems))
        consent = " The analysis consents to this (allow_mixed_systems)." if result.settings.allow_mixed_systems else ""
        return CheckResult("same_system", "fail", ids, detail + consent)
    if silent:
        names = ", ".join(dict.fromkeys(row.stage for row in silent))
        return CheckResult("same_system", "warning", "", f"No system is stated for the rows of: {names}.")
    under_test = ", ".join(dict.fromkeys(row.under_test for row in result.systems))
    return CheckResult("same_system", "pass", "", f"Every stage's rows are of the system under test ({under_test}).")


def _first_of_each_arm(systems: tuple[SystemRow, ...]) -> list[SystemRow]:
    found: dict[str, SystemRow] = {}
    for row in systems:
        if row.found and set(row.found) != {row.under_test}:
            found.setdefault(row.arm, row)
    return list(found.values())


def _assumptions(result: GapDecomposition, stages: set[str]) -> str:
    """Assumptions that the step into these stages would otherwise have spoken to."""
    return ";".join(
        row.assumption_id
        for row in result.assumptions
        if any(f"component {name} is not" in row.evidence for name in stages)
    )


def _about(result: GapDecomposition, row: SystemRow) -> str:
    later = [
        other.stage
        for other in result.systems
        if other.arm == row.arm and other.found and set(other.found) != {other.under_test}
    ]
    return (
        f"In arm {row.arm} the system under test is {row.under_test}; from stage {row.stage} on the rows are of "
        f"{', '.join(row.found)} ({', '.join(later)}). The step into {row.stage} therefore also contains a change of "
        "system and is not attributed to an assumption."
    )
