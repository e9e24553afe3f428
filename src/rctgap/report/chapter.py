"""One result as a chapter: which sections, in which order, with which figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rctgap import plots
from rctgap.checks import checked
from rctgap.report.answers import flows_section, uptake_section
from rctgap.report.blocks import Chapter, Link, Paragraph, Picture, Section
from rctgap.report.evidence import assumptions_section, attrition_section, checks_section
from rctgap.report.further import intervals_section, missing_section, tests_section
from rctgap.report.headline import headline_section
from rctgap.report.methods import manifest_section, methods_section, notes_section
from rctgap.report.model_checks import model_checks_section
from rctgap.report.posterior import posterior_section
from rctgap.report.quantities import components_section, effects_section, shares_section, stages_section
from rctgap.report.schools import schools_section
from rctgap.report.scoring import scoring_section
from rctgap.report.sensitivity import common_cause_section, influence_section, orders_section, outcomes_section
from rctgap.report.specifications import specifications_section
from rctgap.report.staged import staged_section
from rctgap.report.words import shown_arms, slug
from rctgap.results import GapDecomposition
from rctgap.suppression import suppressed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["NamedResult", "chapter", "closing", "prepared", "summary"]


@dataclass(frozen=True)
class NamedResult:
    """A result with the name it goes by in a report, and its manifest where it has one."""

    name: str
    result: GapDecomposition
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The result's own title, or its name."""
        return self.result.title or self.name or "Gap decomposition"


def prepared(named: NamedResult) -> NamedResult:
    """The result as it may be shown: checked, and with small cells hidden."""
    return NamedResult(named.name, suppressed(checked(named.result)), named.manifest)


def summary(named: NamedResult, number: int) -> Chapter:
    """What a reader of several results needs of each: headline, ladder, components, flows and checks."""
    result = named.result
    anchor = f"result-{number}"
    sections = (
        headline_section(result),
        stages_section(result, _pictures(result, plots.ladder, "ladder", anchor)),
        components_section(result, _pictures(result, plots.forest, "forest", anchor)),
        Section("The flow of answers", _pictures(result, plots.flows, "flows", anchor)),
        checks_section(result),
        Section("", (Link(f"The whole report of {named.name}", f"{named.name}/report.html"),)),
    )
    return Chapter(anchor, f"{named.name}: {named.title}", sections)


def closing(several: Sequence[NamedResult]) -> Chapter:
    """How several results were made: each set of methods once, and a manifest."""
    methods: dict[Section, list[str]] = {}
    for one in several:
        methods.setdefault(methods_section(one.result), []).append(one.name)
    sections = [Section(f"Methods of {', '.join(names)}", section.blocks) for section, names in methods.items()]
    first = next((one for one in several if one.manifest), None)
    if first is not None and (made := manifest_section(first.manifest)) is not None:
        told = Paragraph(f"Each result's folder holds its manifest; this is the one of {first.name}.")
        sections.append(Section(made.title, (told, *made.blocks)))
    return Chapter("methods", "How these results were made", tuple(sections))


def chapter(named: NamedResult, number: int = 1) -> Chapter:
    """All sections of a prepared result; `number` keeps ids apart where there are several."""
    result = named.result
    anchor = f"result-{number}"
    sections: list[Section | None] = [
        headline_section(result),
        stages_section(result, _pictures(result, plots.ladder, "ladder", anchor)),
        effects_section(result),
        components_section(result, _pictures(result, plots.forest, "forest", anchor)),
        posterior_section(result, _posterior_pictures(result, anchor)),
        schools_section(result, _school_pictures(result, anchor)),
        scoring_section(result),
        specifications_section(result, _specification_pictures(result, anchor)),
        intervals_section(result),
        shares_section(result),
        flows_section(result, _pictures(result, plots.flows, "flows", anchor)),
        uptake_section(result),
        tests_section(result),
        missing_section(result),
        staged_section(result, _staged_pictures(result, anchor)),
        assumptions_section(result),
        checks_section(result),
        influence_section(result),
        orders_section(result),
        outcomes_section(result),
        common_cause_section(result, _bias_pictures(result, anchor)),
        model_checks_section(result, _predictive_pictures(result, anchor)),
        attrition_section(result),
        methods_section(result),
        notes_section(result),
        manifest_section(named.manifest),
    ]
    return Chapter(anchor, named.title, tuple(one for one in sections if one is not None))


def _posterior_pictures(result: GapDecomposition, anchor: str) -> tuple[Picture, ...]:
    there = {row.arm for row in result.posterior if row.kind == "gap"}
    arms = [arm for arm in shown_arms(result) if arm in there]
    return _pictures(result, plots.posterior, "posterior", anchor, arms)


def _school_pictures(result: GapDecomposition, anchor: str) -> tuple[Picture, ...]:
    """One figure, of the first arm shown; the table has every arm."""
    arms = shown_arms(result)[:1] if plots.both_schools(result) else ()
    return _pictures(result, plots.schools, "schools", anchor, arms)


def _specification_pictures(result: GapDecomposition, anchor: str) -> tuple[Picture, ...]:
    """One figure, of the first arm shown; specifications.csv has every arm."""
    arms = shown_arms(result)[:1] if result.specifications else ()
    return _pictures(result, plots.specifications, "specifications", anchor, arms)


def _staged_pictures(result: GapDecomposition, anchor: str) -> tuple[Picture, ...]:
    there = {row.arm for row in result.staged}
    return _pictures(result, plots.staged, "staged", anchor, [arm for arm in shown_arms(result) if arm in there])


def _bias_pictures(result: GapDecomposition, anchor: str) -> tuple[Picture, ...]:
    """One figure, of the first arm with a ratio; bias_curve.csv has every arm."""
    there = [arm for arm in shown_arms(result) if any(row.arm == arm and row.ratio is not None for row in result.bias)]
    return _pictures(result, plots.bias_curve, "bias_curve", anchor, there[:1])


def _predictive_pictures(result: GapDecomposition, anchor: str) -> tuple[Picture, ...]:
    return _pictures(result, plots.predictive, "predictive", anchor, plots.predictive_arms(result))


def _pictures(
    result: GapDecomposition,
    draw: "Callable[[GapDecomposition, str], Figure]",
    name: str,
    anchor: str,
    arms: Sequence[str] | None = None,
) -> tuple[Picture, ...]:
    """The figure of each arm shown; a file's name tells the arm where there are several."""
    found = []
    shown = shown_arms(result) if arms is None else arms
    for number, arm in enumerate(shown):
        mark = "" if len(shown) == 1 else f"-{number}-{slug(arm)}".rstrip("-")
        figure = draw(result, arm)
        title = str(figure.get_label()).partition("\n")[0]
        found.append(Picture(f"{name}{mark}", title, plots.svg(figure, f"{anchor}-{name}-{number}")))
    return tuple(found)
