"""What a reader of the written files can work out about small cells: nothing."""

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.checks import checked
from rctgap.compliers import complier_rows
from rctgap.estimands import MomentKey, contrasts
from rctgap.simulate import DEFAULT_MEANS
from rctgap.small_cells import small_in_trial
from rctgap.suppression import suppressed

STAGES = ("benchmark", "own_query", "conversation", "decision")
SMALL_STAGES = [("a1", "own_query"), ("a1", "conversation"), ("a2", "decision"), ("control", "decision")]


def arms_of(study, small=None, right=3):
    """Two arms and a control of 60 answers each; in `small`, so few are right."""
    frame = study.simulated(people=60, arms=("a1", "a2", "control"), answers=1, seed=2)
    if small:
        arm, name = small
        rows = frame.index[frame["arm"] == arm]
        frame[name] = frame[name].astype(float)
        frame.loc[rows, name] = [1.0] * right + [0.0] * (60 - right)
    return frame


def saved(study, folder, frame, **options):
    options.setdefault("design", rg.Design("control", ["a1", "a2"]))
    options.setdefault("runs", study.benchmark(("a1", "a2")))
    result = study.decomposed(frame, options.pop("runs"), suppress_below=5, companions=True, **options)
    rg.save(result, folder / "out")
    return result, {path.stem: pd.read_csv(path) for path in (folder / "out").glob("*.csv")}


def knowns(tables, items, weights):  # noqa: C901 - one list of all that is given away
    """Every linear combination of stage means that the files give, as rows over (arm, stage)."""
    places = {
        (arm, name): n
        for n, (arm, name) in enumerate(
            [(arm, name) for arm in ("a1", "a2") for name in STAGES] + [("control", "decision")]
        )
    }
    found = []

    def add(coefficients):
        row = np.zeros(len(places))
        for key, value in coefficients.items():
            if (key.arm, key.name) not in places:
                return
            row[places[key.arm, key.name]] = value
        found.append(row)

    shares = {"a1": {"a1": 1.0}, "a2": {"a2": 1.0}, "all": {"a1": 0.5, "a2": 0.5}}
    chosen = tables["components"].query("items == @items and item_weights == @weights")
    for arm, of in shares.items():
        for one in contrasts(rg.DEFAULT_CHAIN, arm, of, "control"):
            row = chosen.query("arm == @arm and quantity == @one.quantity")
            if len(row) == 1 and row["estimate"].notna().all():
                add(one.coefficients)
            if row[["lower", "upper"]].notna().all(axis=None) and one.quantity != "item_mix":
                add(one.coefficients)
    stages = pd.concat([tables["stages"], tables["stages_other"]])
    for row in stages.query("items == @items and item_weights == @weights").itertuples():
        if not (math.isnan(row.estimate) and math.isnan(row.lower)):
            of = shares.get(row.arm, {row.arm: 1.0})
            add({MomentKey(arm, row.stage): weight for arm, weight in of.items()})
    for arm in ("a1", "a2", "all"):
        ratios = tables["effects"].query("arm == @arm and items == @items and item_weights == @weights")
        if ratios["estimate"].notna().any():
            of = shares[arm]
            add({MomentKey(one, "decision"): weight for one, weight in of.items()})
            add({MomentKey("control", "decision"): 1.0})
    return np.array(found), places


@pytest.mark.parametrize(("small", "right"), [*((small, 3) for small in SMALL_STAGES), (SMALL_STAGES[1], 57)])
def test_a_small_stage_is_no_combination_of_what_is_written(study, tmp_path, small, right):
    _, tables = saved(study, tmp_path, arms_of(study, small, right))
    for items in ("fixed", "random"):
        for weights in ("observed", "trial"):
            rows, places = knowns(tables, items, weights)
            rank = np.linalg.matrix_rank(rows)
            for other in places:
                target = np.zeros((1, len(places)))
                target[0, places[other]] = 1
                recovered = np.linalg.matrix_rank(np.vstack([rows, target])) == rank
                assert recovered is not (other == small), (other, items, weights)


@pytest.mark.parametrize("small", SMALL_STAGES)
def test_a_small_stage_is_in_no_file(study, tmp_path, small):
    arm, name = small
    saved(study, tmp_path, arms_of(study, small))
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    for table in ("stages", "other_stages"):
        for row in document[table]:
            if row["stage"] == name and row["arm"] in (arm, "all") and not (arm == "control" and row["arm"] == "all"):
                assert [row[key] or None for key in ("estimate", "std_error", "lower", "upper", "n")] == [None] * 5
                assert "fewer than 5" in row["note"]
    steps = {name} | ({"decision"} if name == "conversation" else set())
    for row in document["components"]:
        if row["arm"] == arm and row["kind"] == "component" and row["quantity"] in steps:
            assert [row[key] for key in ("estimate", "std_error", "lower", "share_of_gap", "lost_count")] == [None] * 5
    if arm != "control":
        assert all(row["estimate"] is None for row in document["shares"] if row["arm"] in (arm, "all"))


def test_the_other_arm_stays(study, tmp_path):
    result, tables = saved(study, tmp_path, arms_of(study, ("a1", "conversation")))
    row = tables["components"].query("arm == 'a2' and quantity == 'conversation' and items == 'fixed'").iloc[0]
    assert row["estimate"] == result.row("conversation", "a2").estimate
    assert row["std_error"] == result.row("conversation", "a2").std_error
    assert row["n"] == 60


@pytest.mark.parametrize(("right", "hidden"), [(0, False), (1, True), (4, True), (5, False)])
def test_the_threshold_counts_one_to_below_it(study, right, hidden):
    frame = arms_of(study, ("a1", "decision"), right)
    frame = frame[frame["arm"] != "a2"]
    result = study.decomposed(frame, study.benchmark(), suppress_below=5)
    assert (study.stage(suppressed(result), "decision").estimate is None) is hidden


def test_benchmark_runs_are_not_people(study):
    result = study.decomposed(
        study.simulated(people=60, answers=1), study.benchmark(repeats=1, right=1), suppress_below=5
    )
    assert study.stage(suppressed(result), "benchmark").estimate == 1


@pytest.mark.parametrize("limit", [0, 1])
def test_nothing_is_hidden_at_a_threshold_of_nothing(study, limit):
    frame = arms_of(study, ("a1", "decision"))
    result = study.decomposed(frame[frame["arm"] != "a2"], study.benchmark(), suppress_below=limit)
    assert suppressed(result) == result


def small_step():
    """Of 100 answers, 2 turn wrong into right; every stage mean is far from the ends."""
    counts = {(1, 1): 40, (1, 0): 30, (0, 1): 2, (0, 0): 28}
    rows = [("a1", *pattern, number) for pattern, number in counts.items()]
    return pd.DataFrame(rows, columns=["arm", "conversation", "decision", "count"])


def step_saved(study, tmp_path):
    stages = (rg.Stage("conversation"), rg.Stage("decision"))
    chain = rg.Chain(stages, (rg.Transition("decision", "outcome"),))
    return saved(study, tmp_path, small_step(), runs=None, design=rg.Design(None, ["a1"]), stages=chain)[1]


def test_a_small_joint_count_hides_flows_and_conditionals_together(study, tmp_path):
    tables = step_saved(study, tmp_path)
    components = tables["components"]
    flows = components.query("quantity == 'decision'")
    assert flows[["lost", "gained", "lost_count", "gained_count"]].isna().all(axis=None)
    assert flows["note"].str.contains("fewer than 5").all()
    ratios = components[components["quantity"].isin(["uptake", "self_rescue"])]
    assert ratios[["estimate", "std_error", "lower", "upper"]].isna().all(axis=None)
    assert (ratios["n"].fillna(0) == 0).all()
    assert components.query("quantity == 'decision' and items == 'fixed'")["estimate"].notna().all()


def few_gained():
    """Of 400 answers 7 are lost and 2 gained: they vary less than they would at the margin."""
    counts = {(1, 1): 200, (1, 0): 7, (0, 1): 2, (0, 0): 191}
    rows = [("a1", *pattern, number) for pattern, number in counts.items()]
    return pd.DataFrame(rows, columns=["arm", "conversation", "decision", "count"])


def test_an_interval_widened_to_the_margin_gives_no_small_count(study, tmp_path):
    chain = rg.Chain(
        (rg.Stage("conversation"), rg.Stage("decision")),
        (rg.Transition("decision", "outcome", ("outcome.decision_mediation",)),),
    )
    result = study.decomposed(few_gained(), None, suppress_below=5, design=rg.Design(None, ["a1"]), stages=chain)
    whole = rg.staged_evaluation(result).result
    row = next(one for one in whole.staged if one.items == "fixed")
    factor = (row.upper - row.lower) / 2 / 1.6448536 / row.std_error
    assert 400 * (0.05 * 0.95 / factor**2 + row.estimate**2) == pytest.approx(9, abs=0.05)
    rg.save(whole, tmp_path / "out")
    tables = {path.stem: pd.read_csv(path) for path in (tmp_path / "out").glob("*.csv")}
    shown = tables["staged"].query("items == 'fixed'")
    assert shown[["lower", "upper", "p_value", "p_adjusted", "n_needed"]].isna().all(axis=None)
    assert set(shown["verdict"]) == {row.verdict}
    assert tables["assumptions"][["lower", "upper"]].isna().all(axis=None)


def test_people_and_not_their_answers_are_counted_in_two_measures(study):
    """Two people hold all answers on which the measures differ, six each."""
    frame = study.simulated(people=100, answers=6, seed=2)
    frame["second"] = frame["decision"]
    for person, decision in (("a1-0", 1.0), ("a1-1", 0.0)):
        rows = frame["participant"] == person
        frame.loc[rows, ["decision", "second"]] = [decision, 1 - decision]
    trial = rg.read_trial(frame, design=rg.Design("control", ["a1"]))
    columns = [trial.answers["decision"], trial.answers["second"]]
    assert small_in_trial(trial, columns, 5)
    assert not small_in_trial(trial, columns[:1], 5)


def margin_dictionary():
    fields = [
        {"name": "arm", "role": "arm"},
        {"name": "item", "role": "item"},
        {"name": "conversation", "role": "score", "type": "integer"},
        {"name": "decision", "role": "score", "type": "integer"},
        {"name": "count", "role": "count", "type": "integer"},
    ]
    margins = [{"where": {"arm": "a1"}, "column": "decision", "value": 0.5, "decimals": 1}]
    margins += [
        {"where": {"arm": "a1", "item": item}, "column": "decision", "value": 0.5, "decimals": 1}
        for item in ("s1", "s2")
    ]
    return {"schema": "rctgap/dictionary/1", "tables": {"trial": {"fields": fields, "margins": margins}}}


def margins_saved(study, tmp_path, first):
    """Two items of 100 answers; `first` right on s1, 20 on s2."""
    rows = [("a1", item, 1, 1, n) for item, n in (("s1", first), ("s2", 20))]
    rows += [("a1", item, 1, 0, 100 - n) for item, n in (("s1", first), ("s2", 20))]
    frame = pd.DataFrame(rows, columns=["arm", "item", "conversation", "decision", "count"])
    stages = (rg.Stage("conversation"), rg.Stage("decision"))
    options = {"runs": None, "design": rg.Design(None, ["a1"]), "dictionary": margin_dictionary()}
    saved(study, tmp_path, frame, stages=stages, **options)
    return tmp_path / "out"


def test_a_small_margin_is_hidden(study, tmp_path):
    rows = json.loads((margins_saved(study, tmp_path, 3) / "result.json").read_text())["margins"]
    assert [row["found"] for row in rows if row["item"] == "s1"] == ["hidden: fewer than 5"]
    assert [row["counts"] for row in rows if row["item"] == "s1"] == [[]]


def test_a_small_margin_is_not_in_the_checks(study, tmp_path):
    out = margins_saved(study, tmp_path, 3)
    detail = pd.read_csv(out / "checks.csv").query("check == 'declared_margins'")["detail"].item()
    assert "3 of 100" not in detail


def test_a_small_margin_is_not_the_total_less_the_others(study, tmp_path):
    rows = json.loads((margins_saved(study, tmp_path, 3) / "result.json").read_text())["margins"]
    shown = {row["item"]: row["counts"] for row in rows if row["counts"]}
    assert not ("" in shown and "s2" in shown)


@pytest.mark.parametrize(
    "rules",
    [1, pytest.param(2)],
)
def test_a_few_left_out_are_not_counted_by_the_steps_around_them(study, rules):
    frame = study.simulated(people=60, answers=1).assign(why="")
    frame.loc[:1, "why"] = "withdrew"
    frame.loc[10:29, "why"] = "pilot"
    steps = [rg.Exclusion({"why": "withdrew"}, "withdrew"), rg.Exclusion({"why": "pilot"}, "pilot")]
    trial = rg.read_trial(
        frame, benchmark=study.benchmark(), design=rg.Design("control", ["a1"]), exclude=steps[:rules]
    )
    estimates = rg.estimate_frequentist(rg.score_stages(trial, rg.DEFAULT_CHAIN), rg.Estimand("fixed"))
    with pytest.warns(rg.RctgapWarning):
        result = suppressed(checked(rg.decompose(estimates, rg.Estimand("fixed"))))
    mine = [row for row in result.attrition if row.arm == "a1"]
    hidden = next(n for n, row in enumerate(mine) if row.reason.startswith("withdrew"))
    assert (mine[hidden].n_in, mine[hidden].n_out) == (None, None)
    before, after = mine[hidden - 1].n_out, mine[hidden + 1].n_in if hidden + 1 < len(mine) else None
    assert before is None or after is None


def test_a_warning_about_a_hidden_mean_is_not_in_the_manifest_either(tmp_path):
    drawn = rg.simulate_trial(
        rg.SimulationPlan(participants=60, means={**DEFAULT_MEANS, "decision": 0.03}, control_mean=0.3), seed=1
    )
    trial = rg.read_trial(drawn.answers, benchmark=drawn.runs, design=rg.Design("control", ["a1"]))
    scores = rg.score_stages(trial, rg.DEFAULT_CHAIN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RctgapWarning)
        result = rg.decompose(rg.estimate_frequentist(scores, rg.Estimand("fixed")), rg.Estimand("fixed"))
    assert any("decision in arm a1" in text for text in result.warnings)
    result = replace(result, settings=replace(result.settings, suppress_below=30))
    folder = rg.save(result, tmp_path / "out")
    assert "decision in arm a1" not in (folder / "manifest.json").read_text(encoding="utf-8")


def idle_trial(idle):
    """Sixty people an arm; `idle` of the AI arm never used the system, and `idle` users lack a conversation score."""
    rows = [("a1", f"a{i}", int(i >= idle), None if i < 2 * idle else i % 2, i % 3 == 0) for i in range(60)]
    rows += [("control", f"c{i}", 0, None, i % 4 == 0) for i in range(60)]
    frame = pd.DataFrame(rows, columns=["arm", "participant", "used", "conversation", "decision"])
    frame["decision"] = frame["decision"].astype(float)
    trial = rg.read_trial(frame, design=rg.Design("control", ["a1"]))
    return rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])


@pytest.mark.parametrize(("idle", "hidden"), [(2, True), (20, False)])
def test_few_non_users_or_incomplete_answers_hide_what_would_tell_their_number(idle, hidden):
    estimand = rg.Estimand(items="fixed", non_users="zero")
    estimates = rg.estimate_frequentist(idle_trial(idle), estimand)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RctgapWarning)
        result = rg.decompose(estimates, estimand)
    shown = suppressed(replace(result, effects=(*result.effects, *complier_rows(estimates))))
    effects = [row for row in shown.effects if row.quantity == "complier_effect"]
    complete = [row for row in shown.missing if row.approach == "complete_case"]
    assert effects
    assert complete
    assert all((row.estimate is None) == hidden for row in effects)
    assert all((row.estimate is None) == hidden for row in complete)
    assert not hidden or not any("share who used" in row.note for row in effects)


def test_where_few_lack_a_score_no_count_gives_the_denominator(study):
    frame = study.simulated(people=200, seed=2)
    frame.loc[frame.index[frame["arm"] == "a1"][:2], "own_query"] = np.nan
    shown = suppressed(study.decomposed(frame, study.benchmark(), suppress_below=5))
    row = shown.row("conversation", "a1")
    assert row.lost is not None
    assert (row.n, row.lost_count, row.gained_count) == (None, None, None)
