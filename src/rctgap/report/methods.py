"""How the numbers were made, in words, from the settings of the result; and what is needed to make them again."""

from collections.abc import Iterator, Mapping
from typing import Any

from rctgap.report.bayesian_methods import bayesian_methods, bayesian_sources
from rctgap.report.blocks import Block, Bullets, Paragraph, Reference, References, Section, Table
from rctgap.report.words import quantity
from rctgap.results import GapDecomposition

__all__ = ["manifest_section", "methods_section", "notes_section"]

ITEMS = {
    "fixed": "Items are fixed: intervals speak of these items only.",
    "random": "Items are random: intervals speak of the population from which the items were drawn.",
}
ITEM_WEIGHTS = {
    "observed": "Each stage keeps the mix of items it was observed on; nothing is standardised.",
    "trial": "Every stage is standardised to the mix of items in the analysed AI arms.",
    "uniform": "Every stage is standardised to a mix in which each item counts the same.",
    "named": "Every stage is standardised to the item weights that the analysis names.",
}
ARM_WEIGHTS = {
    "equal": "the AI arms count equally",
    "observed": "the AI arms count by their number of answers",
    "named": "the AI arms count as the analysis says",
}
NON_USERS = {
    "exclude": "Participants who never wrote to the AI are left out of the task stages and kept in the decisions.",
    "zero": "Participants who never wrote to the AI score zero at the task stages and are kept in the decisions.",
    "control": "Participants who never wrote to the AI take the control arm's mean at the task stages.",
}
COVARIANCE = {
    "robust": "Answers count as independent (heteroskedasticity-robust covariance).",
    "cluster": "Answers of one participant count as one cluster; benchmark runs are independent.",
    "cluster2": "Answers cluster by item and by participant at once (two-way covariance).",
    "item": "Answers and runs cluster by item.",
}
SMALL_SAMPLE = {
    "HC1": "HC1 scales the covariance for the number of cells",
    "CR1": "CR1 scales the covariance for the number of clusters, with t at that number less one",
    "CR2": "CR2 is the bias-reduced (Bell-McCaffrey) covariance, with t at its Satterthwaite degrees of freedom",
    "CR3": "CR3 is the jackknife over clusters, with t at their number less one",
}
KINDS = {
    "t": "t: the estimate plus and minus a t quantile times its standard error",
    "normal": "normal: the estimate plus and minus a normal quantile times its standard error",
    "wilson": "Wilson: used for a stage whose mean is exactly 0 or 100 %",
    "mover": "MOVER: used for differences that involve such a stage",
    "population": "t, widened: the union of t and the interval of a Beta-binomial population of items, used where "
    "simulation has shown t to cover too little",
    "betting": "bounded: holds for any distribution of item means",
    "equal_tailed": "equal-tailed credible: as much of the posterior lies below as above",
    "hdi": "highest-density credible: the shortest interval that holds its share of the posterior",
}
EXTRA: Mapping[str, tuple[str, str]] = {
    "population": ("Zou 2007, MOVER for correlated estimates", "10.1037/1082-989X.12.4.399"),
    "betting": ("Waudby-Smith and Ramdas 2024, means of bounded variables by betting", "10.1093/jrsssb/qkad009"),
    "bca": ("Efron 1987, BCa", "10.1080/01621459.1987.10478410"),
    "lin": ("Lin 2013, regression adjustment", "10.1214/12-AOAS583"),
    "wild": ("Webb 2023, wild cluster bootstrap", "10.1111/caje.12661"),
    "randomisation": ("Wu and Ding 2021, randomisation tests", "10.1080/01621459.2020.1750415"),
    "worst_case": ("Imbens and Manski 2004, intervals for bounds", "10.1111/j.1468-0262.2004.00555.x"),
}
SHARES = {
    "frequentist": "A share is a component over the gap; Fieller's set can be an interval, two rays or the whole line.",
    "bayesian": "A share is a component over the gap, draw by draw.",
}
SIMULTANEOUS = {
    "frequentist": "max-t for t intervals, Bonferroni's for others.",
    "bayesian": "simultaneous ones hold all steps of an arm at once with that probability.",
}
RAMAN = Reference("Raman et al. 2026, the decomposition", "arXiv 2605.22612", "https://arxiv.org/abs/2605.22612")
CAMERON = ("Cameron and Miller 2015, cluster-robust inference", "10.3368/jhr.50.2.317")
TIPTON = ("Pustejovsky and Tipton 2018, small-sample correction", "10.1080/07350015.2016.1247004")
TWO_WAY = ("Cameron, Gelbach and Miller 2011, two-way clustering", "10.1198/jbes.2010.07136")
FIELLER = ("Fieller 1954, confidence sets for ratios", "10.1111/j.2517-6161.1954.tb00159.x")
WILSON = ("Wilson 1927, score interval", "10.1080/01621459.1927.10502953")
MOVER = ("Zou and Donner 2008, MOVER", "10.1002/sim.3095")
MAX_T = ("Hothorn, Bretz and Westfall 2008, simultaneous intervals", "10.1002/bimj.200810425")


def methods_section(result: GapDecomposition) -> Section:
    """What was estimated, how the intervals were made, and where each method comes from."""
    chosen = result.settings
    blocks: list[Block] = [Paragraph(_estimand(result)), Paragraph(_uncertainty(result))]
    blocks += [Paragraph(text) for text in bayesian_methods(result)]
    kinds = tuple(dict.fromkeys(row.interval for row in result.main() if row.interval))
    if kinds:
        blocks.append(Bullets(tuple(KINDS.get(kind, quantity(kind)) for kind in kinds)))
    order = " → ".join(quantity(name) for name in chosen.stages)
    blocks.append(
        Paragraph(
            f"Stages in order: {order}. A component is the mean of one stage less the mean of the next; components "
            f"add up to the gap. {SHARES['bayesian' if chosen.method == 'bayesian' else 'frequentist']}"
        )
    )
    blocks.append(References(tuple(_references(result, kinds))))
    return Section("Methods", tuple(blocks))


def _estimand(result: GapDecomposition) -> str:
    chosen = result.settings
    told = [ITEMS.get(chosen.items, chosen.items), ITEM_WEIGHTS.get(chosen.item_weights, chosen.item_weights)]
    if len(chosen.arms) > 1:
        told.append(f"In the row over all arms, {ARM_WEIGHTS.get(chosen.arm_weights, chosen.arm_weights)}.")
    if chosen.non_users:
        told.append(NON_USERS.get(chosen.non_users, chosen.non_users))
    return " ".join(told)


def _uncertainty(result: GapDecomposition) -> str:
    chosen = result.settings
    correction = SMALL_SAMPLE.get(chosen.small_sample, chosen.small_sample)
    method, estimator = chosen.method, chosen.estimator.removeprefix("bayesian ")
    told = [f"Method: {'Bayesian' if method == 'bayesian' else method}, {estimator}."]
    if chosen.covariance:
        told.append(f"Covariance {chosen.covariance}: {COVARIANCE.get(chosen.covariance, '')}".rstrip())
    if correction:
        told.append(f"Small samples: {correction}.")
    told.append(f"Intervals are at {100 * chosen.level:g} %, one row at a time unless called simultaneous:")
    told.append(SIMULTANEOUS["bayesian" if method == "bayesian" else "frequentist"])
    others = sorted({row.covariance for row in result.components} - {chosen.covariance, ""})
    if others:
        told.append(f"Rows under another estimand use covariance {', '.join(others)}.")
    return " ".join(filter(None, told))


def _references(result: GapDecomposition, kinds: tuple[str, ...]) -> Iterator[Reference]:
    used = {row.covariance for row in result.components}
    small = {row.small_sample for row in result.components}
    yield RAMAN
    applies = (
        (CAMERON, bool(used & {"cluster", "cluster2", "item"})),
        (TIPTON, "CR2" in small),
        (TWO_WAY, "cluster2" in used),
        (FIELLER, any(row.method == "fieller" for row in result.shares)),
        (WILSON, "wilson" in kinds or any(row.interval == "wilson" for row in result.stages)),
        (MOVER, "mover" in kinds),
        (MAX_T, any(row.simultaneous_lower is not None and row.method == "frequentist" for row in result.components)),
    )
    found = [*(source for source, hit in applies if hit), *(EXTRA[name] for name in _extra(result))]
    found += bayesian_sources(result)
    yield from (Reference(text, f"doi {doi}", f"https://doi.org/{doi}") for text, doi in found)


def _extra(result: GapDecomposition) -> Iterator[str]:
    """What else the result used that has a source of its own."""
    used = {row.interval for row in (*result.components, *result.alternatives)}
    used |= {row.approach for row in result.missing} | {
        row.method.partition(" ")[0].rstrip(",") for row in result.tests
    }
    used |= {result.settings.estimator.partition(",")[0]}
    yield from (name for name in EXTRA if name in used)


def notes_section(result: GapDecomposition) -> Section:
    """What holds for this result and is easily forgotten."""
    block = Bullets(result.notes) if result.notes else Paragraph("None.")
    return Section("Notes", (block,))


def manifest_section(manifest: Mapping[str, Any]) -> Section | None:
    """What is needed to make the result again; None where no manifest was written."""
    if not manifest:
        return None
    rows = tuple(_flat(manifest))
    table = Table("Manifest", ("entry", "value"), rows, wide=frozenset({1}))
    return Section("How to make this result again", (table,))


def _flat(content: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(content, Mapping) and content:
        for key, value in content.items():
            yield from _flat(value, f"{place}.{key}" if place else str(key))
    elif isinstance(content, list | tuple) and any(isinstance(one, Mapping | list | tuple) for one in content):
        for number, value in enumerate(content, 1):
            yield from _flat(value, f"{place}.{number}")
    elif isinstance(content, list | tuple):
        if content:
            yield place, " ".join(map(str, content))
    elif content not in (None, "", {}):
        yield place, str(content)
