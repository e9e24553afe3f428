"""Which results may be pooled: those of one estimand, from trials that share no data, without a check that fails."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rctgap.documents import nearest, sha256
from rctgap.errors import AnalysisError, EstimandError, Fault
from rctgap.estimands import ALL_ARMS
from rctgap.export import load, load_manifest
from rctgap.records import ComponentRow
from rctgap.result_folders import RESULT, results_in
from rctgap.results import GapDecomposition

__all__ = ["Candidate", "common_estimand", "read_candidates", "refuse_to_pool", "refuse_to_show"]


ONE_ESTIMAND = "Pool results of one estimand, or show them with --side-by-side"


@dataclass(frozen=True)
class Candidate:
    """A result with its name among the others, its manifest and the hash of its file."""

    name: str
    result: GapDecomposition
    manifest: Mapping[str, Any]
    sha256: str

    def files(self, role: str) -> tuple[str, ...]:
        """Hashes of the input files of one role."""
        return tuple(str(one["sha256"]) for one in self.manifest.get("inputs", ()) if one.get("role") == role)

    def rows(self, arm: str) -> tuple[ComponentRow, ...]:
        """The main rows of an arm."""
        return tuple(row for row in self.result.main() if row.arm == arm)


def read_candidates(folders: Sequence[Path | str]) -> tuple[Candidate, ...]:
    """Read result folders, and every result of a folder of several, under names that tell them apart.

    Raises
    ------
    AnalysisError
        No folder, or one given twice.
    OutputError
        A folder holds no result, or a damaged one.
    """
    places = [place for folder in folders for place in results_in(Path(folder))]
    if not places:
        raise AnalysisError(Fault("no result folder was named", "For example: rctgap compare results/a results/b"))
    twice = sorted({str(place) for place in places if [one.resolve() for one in places].count(place.resolve()) > 1})
    if twice:
        raise AnalysisError(*(Fault("this result is given twice", "Name each result once", file=one) for one in twice))
    return tuple(
        Candidate(name, load(place), load_manifest(place), sha256(place / RESULT))
        for name, place in zip(_names(places), places, strict=True)
    )


def _names(places: Sequence[Path]) -> tuple[str, ...]:
    """The last parts of the paths, as few as tell them apart."""
    whole = [place.resolve().parts for place in places]
    for depth in range(1, max(map(len, whole)) + 1):
        names = ["/".join(parts[-depth:]) for parts in whole]
        if len(set(names)) == len(names):
            break
    return tuple(names)


def refuse_to_show(candidates: Sequence[Candidate], arm: str, *, allow_not_final: bool) -> None:
    """Refuse results that lack the arm, or that a check forbids calling final.

    Raises
    ------
    AnalysisError
        Naming every such result.
    """
    faults = [
        Fault(
            f"{one.name} has no such arm", nearest(arm, (ALL_ARMS, *one.result.settings.arms)), "", "--arm", value=arm
        )
        for one in candidates
        if arm not in (ALL_ARMS, *one.result.settings.arms)
    ]
    if not allow_not_final:
        faults += [
            Fault(
                f"{one.name} is not final; checks that forbid it: {', '.join(one.result.forbidden_by)}",
                "Mend it, leave it out, or pass --allow-not-final, which is said beside every number",
            )
            for one in candidates
            if not one.result.final
        ]
    if faults:
        raise AnalysisError(*faults)


def refuse_to_pool(candidates: Sequence[Candidate], arm: str, *, effects: bool) -> None:
    """Refuse results of different estimands, or of trials that are not independent.

    Raises
    ------
    EstimandError
        Naming every setting that differs, with the results and their values, and every trial that is shared.
    """
    faults = [*_shared_trials(candidates), *_differences(candidates, arm, effects=effects)]
    if faults:
        raise EstimandError(*faults)


def _shared_trials(candidates: Sequence[Candidate]) -> Iterator[Fault]:
    found: dict[str, list[str]] = {}
    for one in candidates:
        for mark in dict.fromkeys((one.sha256, *one.files("trial"))):
            found.setdefault(mark, []).append(one.name)
    for names in dict.fromkeys(tuple(names) for names in found.values() if len(names) > 1):
        yield Fault(
            f"{', '.join(names)} rest on the same trial's data, so they are not independent",
            "Pool one of them, or show them with --side-by-side",
            place="trial",
        )


def _differences(candidates: Sequence[Candidate], arm: str, *, effects: bool) -> Iterator[Fault]:
    """Each setting of the estimand in which the results differ."""
    for setting, of in _settings(candidates, arm, effects=effects).items():
        values: dict[str, list[str]] = {}
        for one in candidates:
            values.setdefault(of(one), []).append(one.name)
        if len(values) > 1:
            told = "; ".join(f"{value} in {', '.join(names)}" for value, names in values.items())
            allowed = ONE_ESTIMAND
            if setting == "control arm":
                allowed = f"Pass --no-effects to pool all but effects. {ONE_ESTIMAND}"
            yield Fault(f"the estimands differ: {told}", allowed, place=setting)


def _settings(candidates: Sequence[Candidate], arm: str, *, effects: bool) -> dict[str, Callable[[Candidate], str]]:
    """What makes the estimand, by name: how to read each from a result."""
    steps = [
        name
        for name in candidates[0].result.settings.stages[1:]
        if all(name in one.result.settings.stages[1:] for one in candidates)
    ]
    several = any(len(one.result.settings.arms) > 1 for one in candidates)
    settings: dict[str, Callable[[Candidate], str]] = {
        "items": lambda one: one.result.settings.items,
        "item_weights": lambda one: _weights(one, "item_weights", one.result.settings.item_weights),
        "non_users": lambda one: one.result.settings.non_users or "not stated",
        "stages": lambda one: " -> ".join(one.result.settings.stages),
    }
    if several and arm == ALL_ARMS:
        settings["arm_weights"] = lambda one: _weights(one, "arm_weights", one.result.settings.arm_weights)
    if effects:
        settings["control arm"] = lambda one: "present" if one.result.settings.control else "absent"
    for step in steps:
        settings[f"assumptions of {step}"] = partial(_assumptions, arm=arm, step=step)
    return settings


def _weights(one: Candidate, key: str, word: str) -> str:
    """A kind of weights; named ones with their numbers, which the manifest holds."""
    if word != "named":
        return word
    stated = one.manifest.get("analysis", {}).get("estimand", {}).get(key)
    if not isinstance(stated, Mapping):
        return f"named weights that the manifest of {one.name} does not hold"
    return ", ".join(f"{label} {weight:g}" for label, weight in sorted(stated.items()))


def _assumptions(one: Candidate, arm: str, step: str) -> str:
    found = next((row for row in one.rows(arm) if (row.quantity, row.kind) == (step, "component")), None)
    return ", ".join(sorted(found.assumption_ids.split(";"))) if found and found.assumption_ids else "none"


def common_estimand(candidates: Sequence[Candidate], arm: str, *, effects: bool) -> tuple[tuple[str, str], ...]:
    """The settings that all results have in common, by name."""
    found = [
        (setting, {of(one) for one in candidates})
        for setting, of in _settings(candidates, arm, effects=effects).items()
    ]
    return tuple((setting, next(iter(values))) for setting, values in found if len(values) == 1)
