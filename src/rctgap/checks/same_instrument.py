"""A step should change what its assumption names, not how accuracy is measured."""

from rctgap.results import CheckResult, GapDecomposition, SystemRow

__all__ = ["same_instrument"]


def same_instrument(result: GapDecomposition) -> CheckResult:
    """Warn where the declared scorer, scope, prompt or decoding settings change along the chain."""
    arm = result.systems[0].arm
    rows = [row for row in result.systems if row.arm == arm]
    declared = [row for row in rows if row.instrument]
    if not declared:
        return CheckResult("same_instrument", "not_applicable", "", "The analysis declares no instrument (key `scoring`).")
    changes = [text for before, after in zip(rows, rows[1:], strict=False) for text in _changes(before, after)]
    undeclared = [row.stage for row in rows if not row.instrument]
    if undeclared:
        changes.append(f"no instrument is declared for {', '.join(undeclared)}")
    if changes:
        return CheckResult("same_instrument", "warning", "", "Along the chain: " + "; ".join(changes) + ".")
    return CheckResult("same_instrument", "pass", "", "All stages declare the same instrument.")


def _changes(before: SystemRow, after: SystemRow) -> list[str]:
    old, new = dict(before.instrument), dict(after.instrument)
    if not old or not new:
        return []
    return [
        f"{before.stage} to {after.stage} changes {name} ({old.get(name, 'not stated')} to {new.get(name, 'not stated')})"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
