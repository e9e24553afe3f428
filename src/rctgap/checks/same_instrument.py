"""A step should change what its assumption names, not how accuracy is measured."""

from itertools import pairwise

from rctgap.records import CheckResult, SystemRow
from rctgap.results import GapDecomposition

__all__ = ["same_instrument"]


def same_instrument(result: GapDecomposition) -> CheckResult:
    """Warn where the declared scorer, scope, prompt or decoding settings change along the chain."""
    arm = result.systems[0].arm
    rows = [row for row in result.systems if row.arm == arm]
    declared = [row for row in rows if row.instrument]
    if not declared:
        return CheckResult(
            "same_instrument", "not_applicable", "", "The analysis declares no instrument (key `scoring`)."
        )
    changes = [text for before, after in pairwise(rows) if (text := _changes(before, after))]
    undeclared = [row.stage for row in rows if not row.instrument]
    if undeclared:
        changes.append(f"no instrument is declared for {', '.join(undeclared)}")
    if changes:
        detail = f"Besides what its assumptions name, a step changes how accuracy is measured. {'; '.join(changes)}."
        return CheckResult("same_instrument", "warning", "", detail)
    return CheckResult("same_instrument", "pass", "", "All stages declare the same instrument.")


def _changes(before: SystemRow, after: SystemRow) -> str:
    """Settings that both stages declare and that differ."""
    old, new = dict(before.instrument), dict(after.instrument)
    found = [f"{name} ({old[name]} | {new[name]})" for name in old if name in new and old[name] != new[name]]
    return f"{before.stage} to {after.stage}: {', '.join(found)}" if found else ""
