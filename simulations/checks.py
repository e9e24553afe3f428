"""How often each check warns or fails where nothing is wrong: writes simulations/checks.csv.

Trials of two AI arms and a control arm, randomised, with two answers a participant on ten of one population's items.
Effects are there, and what each check looks for is not: arms have one distribution of age, region and items; 1 % of
conversations are missing in every arm; first and later answers have one law; a second measure of the decision follows
the first in seven of ten answers and has the same means; another order of the stages has the same components. Every
replicate has a spawned generator of its own.
"""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

import rctgap as rg
from rctgap.check_context import CheckContext, OtherCell
from rctgap.checks import run_checks, tabled
from rctgap.decomposition import decomposed
from rctgap.replication import replicate

HERE = Path(__file__).parent
SEED = 20261124
ARMS = ("a1", "a2")
SIZES = (300, 1000)
SCORE = {"type": "number", "constraints": {"minimum": 0, "maximum": 1}}
STAGES = ("own_query", "conversation", "decision")
FOLLOWED = 0.7  # how often the second measure of the decision is the first
MEANS = {"benchmark": 0.85, "own_query": 0.8, "conversation": 0.65, "decision": 0.4}
DICTIONARY = {
    "schema": "rctgap/dictionary/1",
    "tables": {
        "trial": {
            "fields": [
                {"name": "participant", "type": "string", "role": "participant"},
                {"name": "item", "type": "string", "role": "item"},
                {"name": "arm", "type": "string", "role": "arm"},
                *({"name": name, "role": "score", "stage": name, **SCORE} for name in STAGES),
                {"name": "other_measure", **SCORE},
                {"name": "talked_first", **SCORE},
                {"name": "age", "type": "number", "role": "covariate"},
                {"name": "region", "type": "string", "role": "stratum"},
                {"name": "turn", "type": "integer", "role": "position"},
            ]
        },
        "benchmark": {
            "fields": [
                {"name": "system", "type": "string", "role": "system"},
                {"name": "item", "type": "string", "role": "item"},
                {"name": "benchmark", "role": "score", "stage": "benchmark", **SCORE},
            ]
        },
    },
}


@dataclass(frozen=True)
class Trial:
    """One simulated trial and the status of its checks."""

    participants: int

    def __call__(self, rng: np.random.Generator) -> dict[str, str]:
        """Status by check."""
        plan = rg.SimulationPlan(
            means=MEANS,
            arms=ARMS,
            participants=self.participants,
            item_sd=0.4,
            participant_correlation=0.2,
            missing={"conversation": 0.01},
        )
        drawn = rg.simulate_trial(plan, rng)
        return {one.check: one.status for one in run_checks(result_of(drawn, rng))}


def result_of(drawn: rg.SimulatedTrial, rng: np.random.Generator) -> rg.GapDecomposition:
    """The decomposition of a trial with what is irrelevant added to it."""
    frame = with_columns(drawn, rng)
    design = rg.Design("control", list(ARMS))
    trial = rg.read_trial(frame, benchmark=drawn.runs, design=design, dictionary=DICTIONARY)
    estimand = rg.Estimand(items="fixed", item_weights="observed")
    estimates = rg.estimate_frequentist(rg.score_stages(trial, rg.DEFAULT_CHAIN), estimand)
    cells = (OtherCell("talked_first", "talked_first", ("conversation",)),)
    context = CheckContext(trial, {"other": "other_measure"}, cells)
    return tabled(replace(decomposed(estimates, estimand), context=context))


def with_columns(drawn: rg.SimulatedTrial, rng: np.random.Generator) -> pd.DataFrame:
    """Baseline columns, the order of answers, a second measure and a cell of another order, unrelated to the arms."""
    frame = drawn.answers
    people = frame["participant"].unique()
    age = pd.Series(rng.normal(40, 12, len(people)), index=people)
    region = pd.Series(rng.choice(["north", "south", "west"], len(people)), index=people)
    talked = talked_first(drawn, frame)
    treated = frame["arm"].isin(ARMS)
    means = np.where(treated, MEANS["decision"], 0.47)
    anew, followed = rng.random(len(frame)) < means, rng.random(len(frame)) < FOLLOWED
    return frame.assign(
        age=frame["participant"].map(age),
        region=frame["participant"].map(region),
        turn=frame.groupby("participant").cumcount() + 1,
        other_measure=np.where(followed, frame["decision"], anew.astype(float)),
        talked_first=np.where(treated, (rng.random(len(frame)) < talked).astype(float), np.nan),
    )


def talked_first(drawn: rg.SimulatedTrial, frame: pd.DataFrame) -> pd.Series:
    """Chance of a right answer with the conversation alone relaxed: each step costs on an item what it costs there."""
    means = drawn.item_means.pivot_table(index=["arm", "item"], columns="stage", values="mean")
    chance = (means["benchmark"] - means["own_query"] + means["conversation"]).clip(0.0, 1.0)
    keys = pd.MultiIndex.from_frame(frame[["arm", "item"]])
    return pd.Series(chance.reindex(keys).to_numpy(), index=frame.index).fillna(0.0)


def summary(found: Sequence[dict[str, str]], participants: int) -> pd.DataFrame:
    """One row per check: trials where it applies, and where it warned or failed."""
    rows = []
    for check in found[0]:
        statuses = [one[check] for one in found]
        applicable = sum(status != "not_applicable" for status in statuses)
        alarms = sum(status in ("warning", "fail") for status in statuses)
        rate = alarms / applicable if applicable else np.nan
        rows.append((check, participants, len(found), applicable, alarms, rate))
    return pd.DataFrame(rows, columns=["check", "participants", "trials", "applicable", "alarms", "rate"])


def study(sizes: Sequence[int], trials: int, workers: int) -> pd.DataFrame:
    """Every size's rows."""
    parts = []
    with ProcessPoolExecutor(workers) as executor:
        for place, size in enumerate(SIZES):
            if size in sizes:
                seed = np.random.SeedSequence([SEED, place])
                found = replicate(Trial(size), trials, seed, executor=executor if workers > 1 else None)
                parts.append(summary(found, size))
                print(size, flush=True)
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    table = study(SIZES, asked.trials, asked.workers)
    table.to_csv(HERE / "checks.csv", index=False, float_format="%.5g", lineterminator="\n")


if __name__ == "__main__":
    main()
