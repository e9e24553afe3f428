"""The hierarchical model's speed against the textbook version of the same model; figures are printed, not asserted.

1,298 participants x 2 answers x 10 items x 4 arms (3 AI and control), as in the published trial. Both models have the
same priors, sampler, options and data; the textbook one samples an effect for every participant, and item effects by
the non-centred Cholesky construction. Everything starts from one process with an empty compilation cache; chains have
processes of their own. Effective draws are of every linear quantity that a report shows, items fixed and random. CPU
time counts all processes.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

import rctgap as rg
from rctgap.criticism import convergence
from rctgap.estimands import contrasts
from rctgap.estimates import StageEstimates, arm_sets
from rctgap.model_data import ModelData, model_data
from rctgap.model_moments import moment_draws
from rctgap.models.design import ATTENUATION, coefficients, matrices
from rctgap.models.parameters import parameters_of
from rctgap.models.priors import Priors
from rctgap.models.sampling import Options, sample
from rctgap.models.structure import Structure
from rctgap.scores import StageScores

ARMS = ("a1", "a2", "a3")
PARTICIPANTS = (325, 325, 324, 324)
COMPONENTS = ("own_query", "conversation", "decision")
OPTIONS = Options(draws=1000, tune=1000, chains=4, seed=1)
ROWS = 1_000_000
INSIDE = "--inside"

type Draws = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Run:
    """One fit: wall and CPU seconds, draws of each parameter by chain, divergences."""

    wall: float
    cpu: float
    draws: Draws
    divergences: int


# ---------------------------------------------------------------- data


def trial() -> StageScores:
    """A trial of the published size; the last two arms lose a participant."""
    drawn = rg.simulate_trial(rg.SimulationPlan(arms=ARMS, participants=max(PARTICIPANTS), runs=60), seed=1)
    answers, kept = drawn.answers, []
    for arm, size in zip((*ARMS, "control"), PARTICIPANTS, strict=True):
        mine = answers[answers["arm"] == arm]
        kept.extend(mine.index[mine["participant"].isin(mine["participant"].unique()[:size])])
    design = rg.Design("control", list(ARMS))
    data = rg.read_trial(answers.loc[kept].reset_index(drop=True), benchmark=drawn.runs, design=design)
    return rg.score_stages(data, rg.DEFAULT_CHAIN)


def crowd(rows: int) -> StageScores:
    """Answers without participants, their counts multiplied until there are so many rows."""
    drawn = rg.simulate_trial(rg.SimulationPlan(arms=ARMS, participants=max(PARTICIPANTS), runs=60), seed=1)
    frame = drawn.answers.drop(columns="participant")
    each = np.full(len(frame), rows // len(frame))
    each[: rows - each.sum()] += 1
    data = rg.read_trial(frame.assign(count=each), benchmark=drawn.runs, design=rg.Design("control", list(ARMS)))
    return rg.score_stages(data, rg.DEFAULT_CHAIN)


# ---------------------------------------------------------------- the two models


def textbook(structure: Structure, priors: Priors) -> pm.Model:
    """Every participant's effect is a parameter; every score a Bernoulli trial, the benchmark's runs binomial."""
    terms = structure.terms
    columns = structure.itemised
    place = np.full(len(structure.responses), -1)
    place[list(columns)] = range(len(columns))
    tied = np.full(len(structure.responses), -1)
    tied[list(structure.tied)] = range(len(structure.tied))
    which, person = observations(structure)
    runs = np.flatnonzero(structure.alone)
    run_term = structure.answers[runs, 0, 0]
    cell = terms.group[run_term] * len(structure.items) + terms.item[run_term]
    total = np.bincount(cell, structure.alone[runs])
    right = np.bincount(cell, structure.alone[runs] * terms.score[run_term])
    rest = matrices(structure, priors).design
    with pm.Model() as model:
        chol, _, item_sd = pm.LKJCholeskyCov(
            "item",
            n=len(columns),
            eta=priors.item_correlation,
            sd_dist=pm.HalfNormal.dist(priors.item_sd, shape=len(columns)),
        )
        spread = pm.HalfNormal("participant_sd", priors.participant_sd, shape=len(structure.tied))
        chosen = np.equal.outer(columns, structure.tied).astype(float)
        scale = pt.sqrt(1 + ATTENUATION**2 * (item_sd**2 + chosen @ spread**2))
        population = pm.Normal("population", 0.0, priors.stage_mean_sd * scale, shape=len(columns))
        standard = pm.Normal("item_standard", 0.0, 1.0, shape=(len(structure.items), len(columns)))
        sds = np.array([one.sd for one in coefficients(structure, priors)])
        coefficient = pm.Normal("coefficient", 0.0, sds, shape=sds.size)
        participant = pm.Normal("participant", 0.0, 1.0, shape=int(person.max()) + 1)
        logits = population + standard @ chol.T
        eta = logits[terms.item, place[terms.response]] + rest @ coefficient
        own = eta[which] + spread[tied[terms.response[which]]] * participant[person]
        pm.Bernoulli("scores", logit_p=own, observed=terms.score[which])
        first = run_term[np.unique(cell, return_index=True)[1]]
        pm.Binomial("runs", n=total.astype(int), logit_p=eta[first], observed=right.astype(int))
    return model


def observations(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Term and participant of every single score of the trial."""
    which, person, number = [], [], 0
    for answers, alike in zip(structure.people, structure.alike, strict=True):
        terms = structure.answers[answers[answers < structure.alone.size], 0].ravel()
        terms = terms[terms < structure.terms.size]
        for _ in range(round(alike)):
            which.append(terms)
            person.append(np.full(terms.size, number))
            number += 1
    return np.concatenate(which), np.concatenate(person)


def fit_textbook(structure: Structure, options: Options) -> tuple[Draws, int]:
    """Draws under the names that rctgap's model gives them."""
    with textbook(structure, Priors()), pytensor.config.change_flags(cxx=""):
        tree = pm.sample(
            draws=options.draws,
            tune=options.tune,
            chains=options.chains,
            cores=options.cores or os.cpu_count(),
            random_seed=options.seed,
            target_accept=options.target_accept,
            nuts_sampler="pymc",
            backend="numba",
            progressbar=False,
            quiet=True,
            compute_convergence_checks=False,
        )
    found = {str(name): np.asarray(one) for name, one in tree["posterior"].data_vars.items()}
    found["item_sd"] = found["item_stds"]
    found["item_correlation"] = np.linalg.cholesky(found["item_corr"])
    return found, int(np.asarray(tree["sample_stats"]["diverging"]).sum())


def fit_ours(structure: Structure, options: Options) -> tuple[Draws, int]:
    """Through the package."""
    chains = sample(structure, Priors(), options)
    return chains.draws, int(chains.stats["diverging"].sum())


# ---------------------------------------------------------------- measures


def cpu() -> float:
    """Seconds of this process and of those that it waited for."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def timed(fit: Callable[[Structure, Options], tuple[Draws, int]], structure: Structure, options: Options) -> Run:
    """A fit, model building and compilation included."""
    start, busy = time.perf_counter(), cpu()
    draws, divergences = fit(structure, options)
    return Run(time.perf_counter() - start, cpu() - busy, draws, divergences)


def quantities(data: ModelData, run: Run, plain: StageEstimates) -> dict[tuple[str, str], np.ndarray]:
    """Draws of each linear quantity by chain."""
    chains, draws = run.draws["population"].shape[:2]
    flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in run.draws.items()}
    table, _ = moment_draws(data, parameters_of(data.structure, flat, chains * draws), plain, seed=1)
    design = plain.scores.design
    found = {}
    for label, weights in arm_sets(plain):
        for one in contrasts(plain.scores.chain, label, weights, design.control):
            values = sum(weight * table[:, plain.keys[key]] for key, weight in one.coefficients.items())
            if one.quantity != "item_mix":
                found[label, one.quantity] = values.reshape(chains, draws)
    return found


def effective(found: Mapping[tuple[str, str], np.ndarray], *, components: bool) -> tuple[float, float]:
    """Smallest bulk and tail effective draws."""
    chosen = [convergence(one) for (_, name), one in found.items() if not components or name in COMPONENTS]
    return min(one.ess_bulk or 0.0 for one in chosen), min(one.ess_tail or 0.0 for one in chosen)


def show(title: str, run: Run) -> None:
    """One line of time."""
    print(f"{title:44s}{run.wall:8.1f} s{run.cpu:8.1f} s{run.divergences:6d}")


def compare(data: ModelData, scores: StageScores, runs: Mapping[str, Run], short: Mapping[str, Run]) -> None:
    """Effective draws, and what a second gives."""
    print(f"\n{'smallest effective draws':34s}{'rctgap':>12s}{'textbook':>12s}{'ratio per second of':>22s}")
    print(f"{'':58s}{'wall':>10s}{'CPU':>6s}{'sampling':>10s}")
    for items in ("fixed", "random"):
        plain = rg.estimate_frequentist(scores, rg.Estimand(items=items))
        found = {name: quantities(data, run, plain) for name, run in runs.items()}
        for what, only in (("components", True), ("all quantities", False)):
            ours, theirs = (effective(found[name], components=only) for name in ("rctgap", "textbook"))
            for side, place in (("bulk", 0), ("tail", 1)):
                gain = ours[place] / theirs[place]
                wall, busy = (getattr(runs["textbook"], one) / getattr(runs["rctgap"], one) for one in ("wall", "cpu"))
                alone = (runs["textbook"].wall - short["textbook"].wall) / (runs["rctgap"].wall - short["rctgap"].wall)
                print(
                    f"{f'items {items}, {what}, {side}':34s}{ours[place]:12.0f}{theirs[place]:12.0f}"
                    f"{gain * wall:10.1f}{gain * busy:6.1f}{gain * alone:10.1f}"
                )
        apart = [abs(one.mean() - found["textbook"][key].mean()) / one.std() for key, one in found["rctgap"].items()]
        print(f"{f'items {items}, largest difference of means':44s}{max(apart):8.3f} posterior standard deviations")


def inside() -> None:
    """Measure and print, the cache being empty."""
    scores = trial()
    start = time.perf_counter()
    data = model_data(scores)
    made = time.perf_counter() - start
    structure = data.structure
    print(f"load at the start {os.getloadavg()[0]:.1f}; {os.cpu_count()} cores")
    people = f"{round(structure.alike.sum())} participants, {structure.people.shape[0]} distinct"
    print(f"{people}; {structure.terms.size} terms")
    print(f"{'rows to arrays':44s}{made:8.1f} s")
    print(
        f"{OPTIONS.chains} chains of {OPTIONS.tune} + {OPTIONS.draws}".ljust(44),
        "    wall       CPU  divergences",
        sep="",
    )
    # One step of one chain: what building and compiling take; at 0.99 nothing is sampled again.
    one = Options(draws=1, tune=1, chains=1, seed=1, cores=1, target_accept=0.99)
    short, runs = {}, {}
    for name, fit in (("rctgap", fit_ours), ("textbook", fit_textbook)):
        cold = timed(fit, structure, one)
        short[name] = timed(fit, structure, one)
        runs[name] = timed(fit, structure, OPTIONS)
        show(f"{name}: building and compiling, cold", cold)
        show(f"{name}: the same, warm", short[name])
        show(f"{name}: all, warm", runs[name])
        print(f"{f'{name}: all, cold (sum)':44s}{runs[name].wall + cold.wall - short[name].wall:8.1f} s")
    compare(data, scores, runs, short)
    print()
    few, many = structure.untied(), model_data(crowd(ROWS)).structure
    show("from counts: building and compiling, cold", timed(fit_ours, few, one))
    for counts in (few, many):
        show(f"from counts: all, warm, {round(counts.alone.sum()):,} rows", timed(fit_ours, counts, OPTIONS))
    print(f"load at the end {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Start again with an empty compilation cache."""
    if INSIDE in sys.argv:
        inside()
        return
    with tempfile.TemporaryDirectory() as folder:
        flags = f"base_compiledir={folder}"
        subprocess.run([sys.executable, __file__, INSIDE], check=True, env={**os.environ, "PYTENSOR_FLAGS": flags})


if __name__ == "__main__":
    main()
