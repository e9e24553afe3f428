"""Crossed bootstrap of a whole decomposition against resampling frames with pandas; figures are printed, not asserted.

1,298 participants x 2 answers x 10 items x 4 arms, as in the published trial; and trials of growing size whose
distinct patterns do not grow, to show what a replicate's cost goes by.
"""

import time
from concurrent.futures import Executor, ProcessPoolExecutor

import numpy as np
import pandas as pd

import rctgap as rg
from rctgap.bootstrap import bootstrapped

REPLICATES = 10_000
PANDAS_REPLICATES = 20
ARMS = ("a1", "a2", "a3")
STAGES = ("own_query", "conversation", "decision")
TARGET = 300


def trial() -> rg.SimulatedTrial:
    """A trial of the published shape."""
    return rg.simulate_trial(rg.SimulationPlan(arms=ARMS, participants=325, runs=60), seed=1)


def estimates_of(drawn: rg.SimulatedTrial) -> rg.StageEstimates:
    """Items random, each stage at its own mix."""
    return rg.estimate_frequentist(drawn.scores(), rg.Estimand(items="random"))


def by_pandas(answers: pd.DataFrame, runs: pd.DataFrame, times: int) -> float:
    """Seconds per replicate: participants within arm and items drawn again, frames joined, all quantities anew."""
    rng = np.random.default_rng(1)
    people = answers[["arm", "participant"]].drop_duplicates()
    items = answers["item"].unique()
    start = time.perf_counter()
    for _ in range(times):
        chosen = people.groupby("arm").sample(frac=1, replace=True, random_state=rng)[["participant"]]
        drawn = pd.DataFrame({"item": rng.choice(items, len(items))})
        decomposed(answers.merge(chosen, on="participant").merge(drawn, on="item"), runs.merge(drawn, on="item"))
    return (time.perf_counter() - start) / times


def decomposed(answers: pd.DataFrame, runs: pd.DataFrame) -> list[object]:
    """Components, families, gap, effects, shares, uptake and self-rescue, by arm and over arms."""
    means = answers.groupby("arm")[list(STAGES)].mean()
    ladder = means.loc[list(ARMS)].assign(benchmark=runs.groupby("system")["benchmark"].mean())
    ladder = ladder[["benchmark", *STAGES]]
    ladder.loc["all"] = ladder.mean()
    parts = -ladder.diff(axis=1).iloc[:, 1:]
    parts = parts.assign(task=parts["own_query"] + parts["conversation"], gap=ladder["benchmark"] - ladder["decision"])
    ours = answers[answers["arm"] != "control"]
    given = ours.pivot_table("decision", "arm", "conversation")
    given.loc["all"] = given.mean()
    effects = ladder - means.loc["control", "decision"]
    return [parts, parts.div(parts["gap"], axis=0), effects, given]


def seconds(estimates: rg.StageEstimates, replicates: int, executor: Executor | None = None) -> float:
    """Of a crossed bootstrap, layout and intervals' inputs included."""
    start = time.perf_counter()
    bootstrapped(estimates, kind="crossed", interval="percentile", replicates=replicates, seed=1, executor=executor)
    return time.perf_counter() - start


def crowd(copies: int) -> rg.StageEstimates:
    """Answers without participants, each standing for `copies` alike ones; drawn by item."""
    drawn = trial()
    frame = drawn.answers.drop(columns="participant").assign(count=copies)
    data = rg.read_trial(frame, benchmark=drawn.runs, design=rg.Design("control", list(ARMS)))
    return rg.estimate_frequentist(rg.score_stages(data, rg.DEFAULT_CHAIN), rg.Estimand(items="random"))


def main() -> None:
    """Measure and print."""
    drawn = trial()
    estimates = estimates_of(drawn)
    seconds(estimates, 200)
    ours = seconds(estimates, REPLICATES)
    theirs = by_pandas(drawn.answers, drawn.runs, PANDAS_REPLICATES) * REPLICATES
    with ProcessPoolExecutor(2) as two:
        seconds(estimates, 200, two)
        both = seconds(estimates, REPLICATES, two)
    print(f"crossed bootstrap, {REPLICATES} replicates      {ours:8.2f} s")
    print(f"the same on two processes               {both:8.2f} s")
    print(f"the same with pandas (scaled from {PANDAS_REPLICATES})    {theirs:8.0f} s")
    print(f"ratio, one process                      {theirs / ours:8.0f}")
    print(f"ratio, two processes                    {theirs / both:8.0f}    (target {TARGET} on two cores)")
    for copies in (1, 100, 10_000):
        one = crowd(copies)
        start = time.perf_counter()
        bootstrapped(one, kind="item", interval="percentile", replicates=REPLICATES, seed=1)
        answers = round(float(one.scores.answers["count"].sum()))
        print(f"by item, {answers:>11,} answers            {time.perf_counter() - start:8.2f} s")


if __name__ == "__main__":
    main()
