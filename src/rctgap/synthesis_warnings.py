"""What a synthesis must be read with: few trials, items of their own, errors that trials share."""

from collections.abc import Iterator, Sequence

from rctgap.comparable import Candidate
from rctgap.estimands import ALL_ARMS
from rctgap.synthesis_records import HARTUNG_KNAPP, TRIAL, Synthesis
from rctgap.synthesis_text import quantity_name

__all__ = ["synthesis_warnings"]

TWO = 2
FEW = 5
FEW_DF = 10.0
FAR = 1.5


def synthesis_warnings(synthesis: Synthesis, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Known limits of these numbers, each in a sentence or two."""
    found = [*_not_final(candidates), *_scores(candidates)]
    if synthesis.pooled:
        found += [
            *_number(synthesis),
            *_beyond_the_prior(synthesis),
            *_items(synthesis),
            *_arms(synthesis),
            *_independence(candidates),
            *_made_differently(candidates),
            *_small_df(synthesis),
        ]
    elif len(candidates) == 1:
        found.append("One result: there is nothing to pool it with.")
    return tuple(found)


def _not_final(candidates: Sequence[Candidate]) -> Iterator[str]:
    for one in candidates:
        if not one.result.final:
            failed = ", ".join(one.result.forbidden_by)
            yield f"{one.name} is not final (--allow-not-final); checks that forbid it: {failed}."


def _scores(candidates: Sequence[Candidate]) -> Iterator[str]:
    """Scores that hold their scorer's errors, or that were made in different ways."""
    automatic = [one for one in candidates if one.result.settings.uncorrected]
    stages = _values((one.name, ", ".join(one.result.settings.uncorrected)) for one in automatic)
    for named, names in stages.items():
        yield f"Automatic scores are not corrected for the scorer's errors: {named} of {', '.join(names)}."
    kinds = _values((one.name, one.result.settings.scores) for one in candidates)
    if len(kinds) > 1:
        yield f"The scores were made in different ways: {_told(kinds)}."


def _number(synthesis: Synthesis) -> Iterator[str]:
    """How little two trials, or three or four, say of the spread between trials."""
    counts = {row.k for row in synthesis.rows if row.method == HARTUNG_KNAPP and row.k is not None}
    if TWO in counts:
        yield (
            "Two trials: the Hartung-Knapp interval has one degree of freedom and is very wide, the spread between "
            "trials (tau) is barely estimated, and there is no prediction interval. The Bayesian interval rests on the "
            "prior of tau."
        )
    if any(TWO < count < FEW for count in counts):
        yield "Three or four trials: tau is poorly estimated, and the Bayesian interval leans on its prior."


def _beyond_the_prior(synthesis: Synthesis) -> Iterator[str]:
    """Where trials differ more than the prior of tau expects, simulated in simulations/pooling.csv."""
    wide = [
        quantity_name(row.quantity, row.kind)
        for row in synthesis.rows
        if row.method == HARTUNG_KNAPP and row.tau is not None and row.tau > FAR * synthesis.tau_scale
    ]
    if wide:
        yield (
            f"Trials differ more than the prior of tau expects (tau over {FAR:g} times {synthesis.tau_scale:g}) in "
            f"{', '.join(wide)}: there simulated Bayesian 95 % intervals covered 87 to 93 %. Read Hartung-Knapp's, or "
            "state a wider prior (--tau-scale)."
        )


def _items(synthesis: Synthesis) -> Iterator[str]:
    if dict(synthesis.estimand).get("items") == "fixed":
        yield (
            "Items are fixed: each trial speaks of its own items. Where trials use different items, tau holds the "
            "difference between their items as well as between the trials."
        )


def _arms(synthesis: Synthesis) -> Iterator[str]:
    several = [f"{one.name} ({', '.join(one.arms)})" for one in synthesis.trials if len(one.arms) > 1]
    if synthesis.arm == ALL_ARMS and several:
        yield f"The arm `all` is a mean over several AI arms in {'; '.join(several)}."


def _independence(candidates: Sequence[Candidate]) -> Iterator[str]:
    """Runs of a benchmark that several trials lean on, and trials whose files are not known."""
    benchmarks = _values((one.name, mark) for one in candidates for mark in one.files("benchmark"))
    for names in benchmarks.values():
        if len(names) > 1:
            yield (
                f"{', '.join(names)} use the same benchmark runs: quantities that begin at the benchmark share its "
                "error, which pooling counts as if it were independent."
            )
    unknown = [one.name for one in candidates if not one.files("trial")]
    if unknown:
        yield f"The manifest of {', '.join(unknown)} names no trial file: that the trials share no data is not checked."


def _made_differently(candidates: Sequence[Candidate]) -> Iterator[str]:
    """Standard errors that do not mean the same."""
    methods = _values((one.name, one.result.settings.method) for one in candidates)
    if len(methods) > 1:
        yield f"Posteriors are pooled with frequentist estimates: {_told(methods)}."
    elif "bayesian" in methods:
        yield "Posteriors are pooled: the prior of each trial's own model counts once for each trial."
    people = [one.name for one in candidates if one.result.settings.n_participants is None]
    if people and len(people) < len(candidates):
        yield f"Standard errors of {', '.join(people)} take answers of one person as independent; the others do not."


def _small_df(synthesis: Synthesis) -> Iterator[str]:
    small: dict[str, float] = {}
    for row in synthesis.rows:
        if row.method == TRIAL and row.df is not None and row.df < FEW_DF:
            small[row.trial] = min(row.df, small.get(row.trial, FEW_DF))
    if small:
        told = ", ".join(f"{name} ({df:.1f})" for name, df in small.items())
        yield (
            f"Standard errors count as known in pooling; some rest on fewer than {FEW_DF:g} degrees of freedom: {told}."
        )


def _values(pairs: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    """Names by value."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(value, []).append(name)
    return found


def _told(values: dict[str, list[str]]) -> str:
    return "; ".join(f"{value} in {', '.join(names)}" for value, names in values.items())
