"""Synthesis over trials: what is lined up, what is pooled, and what is refused by name."""

import csv
import json
import math
import shutil
import xml.dom.minidom
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

import rctgap as rg
from rctgap.checks import checked
from rctgap.errors import AnalysisError, EstimandError, EstimationError, OutputError
from rctgap.intervals import delta_share
from rctgap.plots.pooled import pooled, prepare_pooled
from rctgap.plots.vector import svg
from rctgap.pooling import PoolingPrior
from rctgap.records import CheckResult
from rctgap.result_folders import Index, write_index
from rctgap.synthesis import compare, write_synthesis
from rctgap.synthesis_records import HARTUNG_KNAPP, HIERARCHICAL, SHRUNKEN
from rctgap.synthesis_text import synthesis_text

KINDS = ("component", "family", "gap", "effect")
EFFECTS = ("predicted_effect", "predicted_effect_after_own_query", "realized_effect")


@pytest.fixture(scope="module")
def results(study):
    """Three trials of one design; the third has another rate of decisions."""
    rates = ((0.8, 0.6, 0.4), (0.8, 0.6, 0.4), (0.7, 0.6, 0.2))
    return [
        checked(study.decomposed(study.simulated(people=60, seed=seed, rates=rate), study.benchmark()))
        for seed, rate in enumerate(rates)
    ]


@pytest.fixture
def place(results, tmp_path):
    """Saves results as folders, with the hash of a trial file in each manifest."""

    def save(*changed, names=("t1", "t2", "t3", "t4"), marks=("one", "two", "three", "four"), benchmark=""):
        folders = []
        for name, mark, result in zip(names, marks, changed or results, strict=False):
            folder = rg.save(result, tmp_path / name)
            if mark:
                inputs = [{"role": "trial", "file": "trial.csv", "sha256": mark}]
                inputs += [{"role": "benchmark", "file": "runs.csv", "sha256": benchmark}] if benchmark else []
                edit_manifest(folder, inputs=inputs)
            folders.append(folder)
        return folders

    return save


def edit_manifest(folder, **keys):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **keys}), encoding="utf-8")


def with_settings(result, **keys):
    """A result of another estimand; its rows carry what they are told apart by."""
    own = {name: value for name, value in keys.items() if name in ("items", "item_weights")}
    rows = {
        table: tuple(replace(row, **own) for row in getattr(result, table))
        for table in ("components", "stages", "shares", "effects")
    }
    return replace(result, settings=replace(result.settings, **keys), **(rows if own else {}))


def with_rows(result, quantity, **keys):
    rows = tuple(replace(row, **keys) if row.quantity == quantity else row for row in result.components)
    return replace(result, components=rows)


def of(synthesis, quantity, method=HARTUNG_KNAPP, kind=None):
    found = kind or next(one for name, one in synthesis.quantities() if name == quantity and one != "share")
    return synthesis.found(quantity, found, method)


def test_the_trials_stand_beside_one_another_as_they_are(results, place):
    together = compare(place())
    for quantity, kind in together.quantities():
        if kind == "share":
            continue
        for row, result in zip(together.of_trial(quantity, kind), results, strict=True):
            own = result.row(quantity)
            assert (row.estimate, row.lower, row.upper, row.df) == (own.estimate, own.lower, own.upper, own.df)
            assert row.std_error == pytest.approx(own.std_error)
    shown = {quantity for quantity, kind in together.quantities() if kind in KINDS}
    assert {"own_query", "conversation", "decision", "task", "outcome", "gap", *EFFECTS} <= shown
    assert "item_mix" not in shown
    assert [one.name for one in together.trials] == ["t1", "t2", "t3"]


def test_every_quantity_is_pooled_from_its_own_rows(results, place):
    together = compare(place())
    for quantity in ("decision", "task", "gap", "realized_effect"):
        rows = [result.row(quantity) for result in results]
        y, v = np.array([row.estimate for row in rows]), np.array([row.std_error**2 for row in rows])
        other = combine_effects(y, v, method_re="pm")
        found = of(together, quantity)
        assert found.estimate == pytest.approx(other.mean_effect_re, rel=1e-3)
        error = max(other.sd_eff_w_re, other.sd_eff_w_re_hksj)
        half = stats.t.isf(0.025, 2) * error
        assert found.upper - found.estimate == pytest.approx(half, rel=1e-3)
        assert (found.k, found.df, found.level) == (3, 2, 0.95)
        weights = [row.weight for row in together.of_trial(quantity, found.kind)]
        assert sum(weights) == pytest.approx(1.0)
        assert weights == pytest.approx(list(other.weights_rel_re), rel=1e-3)


def test_the_bayesian_rows_carry_their_chances_and_each_trial_is_pulled_inwards(place):
    together = compare(place(), margin=0.1)
    row = of(together, "decision", HIERARCHICAL)
    assert row.margin == 0.1
    assert 0.5 < row.prob_positive <= 1.0
    assert row.prediction_lower < row.lower < row.estimate < row.upper < row.prediction_upper
    own = {one.trial: one.estimate for one in together.of_trial("decision", "component")}
    shrunken = [
        one for one in together.rows if (one.quantity, one.kind, one.method) == ("decision", "component", SHRUNKEN)
    ]
    assert len(shrunken) == 3
    for one in shrunken:
        ends = sorted((own[one.trial], row.estimate))
        assert ends[0] - 0.02 < one.estimate < ends[1] + 0.02
    widest = max(own.values()) - min(own.values())
    assert max(one.estimate for one in shrunken) - min(one.estimate for one in shrunken) < widest


def test_priors_are_used_and_shown(place):
    folders = place()
    wide, tight = compare(folders), compare(folders, prior=PoolingPrior(0.01, 0.001))
    assert abs(of(tight, "gap", HIERARCHICAL).estimate) < abs(of(wide, "gap", HIERARCHICAL).estimate) / 2
    assert of(tight, "gap").estimate == of(wide, "gap").estimate
    assert "Normal(0, 0.01), tau ~ half-normal(0.001)" in synthesis_text(tight)


def test_a_share_is_pooled_with_its_delta_method_error(results, place):
    together = compare(place())
    for quantity in ("task", "decision"):
        rows = together.of_trial(quantity, "share")
        for row, result in zip(rows, results, strict=True):
            whole, part, rest = (
                result.row(name) for name in ("gap", quantity, {"task": "outcome", "decision": "task"}[quantity])
            )
            # Var(part + rest) = Var(gap) gives the covariance of part and gap without looking at the share.
            covariance = (whole.std_error**2 + part.std_error**2 - rest.std_error**2) / 2
            joint = np.array([[part.std_error**2, covariance], [covariance, whole.std_error**2]])
            assert row.estimate == pytest.approx(part.estimate / whole.estimate)
            assert row.std_error == pytest.approx(delta_share(part.estimate, whole.estimate, joint), rel=1e-6)
        pooled_row = together.found(quantity, "share", HARTUNG_KNAPP)
        other = combine_effects(
            np.array([row.estimate for row in rows]), np.array([row.std_error**2 for row in rows]), method_re="pm"
        )
        assert pooled_row.estimate == pytest.approx(other.mean_effect_re, rel=1e-3)
    assert together.found("task", "share", HIERARCHICAL).prob_within_margin is None


def test_a_share_without_a_bounded_set_is_shown_and_left_out_by_name(results, place):
    shares = tuple(
        replace(row, estimate=None, set_type="unbounded", lower=None, upper=None) if row.method == "fieller" else row
        for row in results[1].shares
    )
    together = compare(place(results[0], replace(results[1], shares=shares), results[2]))
    assert together.found("task", "share", HARTUNG_KNAPP).k == 2
    assert [row.estimate is None for row in together.of_trial("task", "share")] == [False, True, False]
    assert any(text.startswith("share of task: t2 is left out") and "unbounded" in text for text in together.left_out)
    assert of(together, "task").k == 3
    assert any(text.startswith("Two trials") for text in together.warnings)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"std_error": None, "note": "hidden"}, "no standard error or no interval (hidden)"),
        ({"lower": None, "upper": None}, "no standard error or no interval"),
        ({"estimate": None, "std_error": None, "lower": None, "upper": None, "note": "no score"}, "no score"),
        ({"std_error": 0.0}, "standard error is 0"),
    ],
)
def test_a_trial_that_cannot_be_pooled_is_left_out_by_name(keys, reason, results, place):
    together = compare(place(results[0], with_rows(results[1], "conversation", **keys), results[2]))
    assert of(together, "conversation").k == 2
    assert of(together, "decision").k == 3
    told = [text for text in together.left_out if text.startswith("conversation: t2")]
    assert len(told) == 1
    assert reason in told[0]
    assert f"Left out: {told[0]}" in synthesis_text(together)


def test_a_quantity_with_one_usable_trial_is_not_pooled(results, place):
    hidden = [
        with_rows(one, "conversation", estimate=None, std_error=None, lower=None, upper=None) for one in results[:2]
    ]
    together = compare(place(*hidden, results[2]))
    assert of(together, "conversation") is None
    assert "conversation: not pooled, 1 of 3 trials can be used" in together.left_out


def test_an_interval_wider_than_its_standard_error_keeps_its_width(results, place):
    row = results[1].row("gap")
    ends = {"lower": row.estimate - 0.7, "upper": row.estimate + 0.3, "interval": "population"}
    together = compare(place(results[0], with_rows(results[1], "gap", **ends), results[2]))
    shown = together.of_trial("gap", "gap")[1]
    assert shown.std_error == pytest.approx(0.5 / stats.t.isf(0.025, row.df))
    assert shown.std_error > row.std_error
    assert "width of its population interval" in shown.note
    assert (shown.lower, shown.upper) == (ends["lower"], ends["upper"])


def test_a_result_at_another_level_has_its_intervals_made_again(results, place):
    row = results[0].row("gap")
    together = compare(place(), level=0.9)
    shown = together.of_trial("gap", "gap")[0]
    half = stats.t.isf(0.05, row.df) * row.std_error
    assert (shown.lower, shown.upper) == pytest.approx((row.estimate - half, row.estimate + half))
    assert "made again at 90 %" in shown.note
    assert of(together, "gap").level == 0.9
    assert of(together, "gap").upper < of(compare(place()), "gap").upper


DIFFERENT = {
    "items": ({"items": "random"}, "fixed in t1, t2; random in t3"),
    "item_weights": ({"item_weights": "uniform"}, "observed in t1, t2; uniform in t3"),
    "non_users": ({"non_users": "zero"}, "not stated in t1, t2; zero in t3"),
    "control arm": ({"control": ""}, "present in t1, t2; absent in t3"),
}


@pytest.mark.parametrize("setting", DIFFERENT)
def test_different_estimands_are_refused_by_name(setting, results, place):
    keys, told = DIFFERENT[setting]
    other = with_settings(results[2], **keys)
    folders = place(results[0], results[1], other)
    with pytest.raises(EstimandError) as refused:
        compare(folders)
    assert [fault.place for fault in refused.value.faults] == [setting]
    assert told in str(refused.value)
    assert "--side-by-side" in str(refused.value)
    beside = compare(folders, side_by_side=True)
    assert not beside.pooled
    assert setting not in dict(beside.estimand)
    assert {row.method for row in beside.rows} == {"trial"}


def test_every_difference_is_in_one_error(results, place):
    other = with_settings(results[1], non_users="zero", control="")
    with pytest.raises(EstimandError) as refused:
        compare(place(results[0], other))
    assert {fault.place for fault in refused.value.faults} == {"non_users", "control arm"}


def test_other_stages_are_refused(study, results, place):
    chain = [rg.Stage("own_query"), rg.Stage("conversation"), rg.Stage("decision")]
    short = checked(study.decomposed(study.simulated(people=60, seed=8), stages=chain))
    with pytest.raises(EstimandError) as refused:
        compare(place(results[0], short))
    told = str(refused.value)
    assert "benchmark -> own_query -> conversation -> decision in t1" in told
    assert "own_query -> conversation -> decision in t2" in told
    beside = compare(place(results[0], short), side_by_side=True)
    missing = beside.of_trial("own_query", "component")[1]
    assert (missing.estimate, missing.note) == (None, "this result has no such quantity")


def test_other_assumptions_of_a_transition_are_refused(results, place):
    other = with_rows(results[1], "decision", assumption_ids="outcome.something_else")
    with pytest.raises(EstimandError) as refused:
        compare(place(results[0], other))
    assert [fault.place for fault in refused.value.faults] == ["assumptions of decision"]
    assert "outcome.decision_mediation in t1; outcome.something_else in t2" in str(refused.value)


def test_the_order_of_assumptions_does_not_matter(results, place):
    ids = results[1].row("own_query").assumption_ids
    turned = ";".join(reversed(ids.split(";")))
    assert turned != ids
    assert compare(place(results[0], with_rows(results[1], "own_query", assumption_ids=turned))).pooled


def test_named_weights_are_compared_by_their_numbers(results, place):
    named = [with_settings(one, item_weights="named") for one in results[:2]]
    folders = place(*named)
    for folder, weight in zip(folders, (0.5, 0.6), strict=True):
        edit_manifest(folder, analysis={"estimand": {"item_weights": {"s1": weight, "s2": 1 - weight}}})
    with pytest.raises(EstimandError, match=r"s1 0\.5, s2 0\.5 in t1; s1 0\.6, s2 0\.4 in t2"):
        compare(folders)
    edit_manifest(folders[1], analysis={"estimand": {"item_weights": {"s2": 0.5, "s1": 0.5}}})
    assert compare(folders).pooled
    edit_manifest(folders[1], analysis={})
    with pytest.raises(EstimandError, match="the manifest of t2 does not hold"):
        compare(folders)


def test_weights_of_arms_matter_where_there_are_several(study, results, place):
    frame = study.simulated(people=40, arms=("a1", "a2", "control"), seed=5)
    options = {"design": rg.Design("control", ["a1", "a2"])}
    several = checked(study.decomposed(frame, study.benchmark(("a1", "a2")), **options))
    other = with_settings(several, arm_weights="observed")
    folders = place(results[0], other)
    with pytest.raises(EstimandError, match="equal in t1; observed in t2"):
        compare(folders)
    alone = compare(folders, arm="a1")
    assert alone.pooled
    assert alone.of_trial("gap", "gap")[1].estimate == several.row("gap", "a1").estimate
    told = compare(place(results[0], several))
    assert any("mean over several AI arms in t2 (a1, a2)" in text for text in told.warnings)
    single = with_settings(results[1], arm_weights="observed")
    assert compare(place(results[0], single)).pooled


def test_without_effects_a_trial_without_control_is_pooled(results, place):
    other = with_settings(results[1], control="")
    for name in EFFECTS:
        other = with_rows(other, name, estimate=None, std_error=None, lower=None, upper=None)
    together = compare(place(results[0], other), effects=False)
    assert of(together, "gap").k == 2
    assert all(of(together, name) is None for name in EFFECTS)
    assert together.of_trial("realized_effect", "effect")[0].estimate is not None


def test_results_of_one_trial_are_not_independent(place):
    folders = place(marks=("one", "two", "one"))
    with pytest.raises(EstimandError, match="t1, t3 rest on the same trial's data"):
        compare(folders)
    assert not compare(folders, side_by_side=True).pooled


def test_a_copy_of_a_result_is_known_by_its_content(place, tmp_path):
    folders = place(marks=("", "", ""))
    shutil.copytree(folders[0], tmp_path / "copy")
    with pytest.raises(EstimandError, match="t1, copy rest on the same trial's data"):
        compare([*folders, tmp_path / "copy"])


def test_a_folder_given_twice_is_refused_however_it_is_written(place, tmp_path):
    folders = place()
    with pytest.raises(AnalysisError, match="given twice"):
        compare([folders[0], tmp_path / "t2" / ".." / "t1"], side_by_side=True)


def test_what_is_not_known_of_independence_is_said(place):
    shared = compare(place(benchmark="same"))
    assert any(text.startswith("t1, t2, t3 use the same benchmark runs") for text in shared.warnings)
    unknown = compare(place(marks=("one", "", "three")))
    assert any("manifest of t2 names no trial file" in text for text in unknown.warnings)
    assert not any("benchmark runs" in text for text in unknown.warnings)


def test_results_that_are_not_final_need_consent(results, place):
    failed = CheckResult("same_system", "fail", "", "two systems")
    other = replace(results[1], checks=(*(one for one in results[1].checks if one.check != "same_system"), failed))
    folders = place(results[0], other)
    for side_by_side in (False, True):
        with pytest.raises(AnalysisError, match="t2 is not final; checks that forbid it: same_system"):
            compare(folders, side_by_side=side_by_side)
    together = compare(folders, allow_not_final=True)
    assert [one.final for one in together.trials] == [True, False]
    assert any(text.startswith("t2 is not final") for text in together.warnings)
    page = (write_synthesis(together, folders[0].parent / "new") / "report.html").read_text(encoding="utf-8")
    assert "t2 is not final." in page


def test_an_arm_that_some_result_lacks_is_refused(place):
    with pytest.raises(AnalysisError) as refused:
        compare(place(), arm="a2")
    assert len(refused.value.faults) == 3
    assert "t1 has no such arm. Allowed: a1, all" in str(refused.value)


@pytest.mark.parametrize(("option", "value"), [("level", 0.0), ("level", 95.0), ("margin", -0.1), ("margin", math.nan)])
def test_a_level_or_margin_that_is_none_is_refused(option, value, place):
    with pytest.raises(AnalysisError, match=f"--{option}"):
        compare(place(), **{option: value})


def test_one_result_is_shown_and_two_are_pooled_with_a_warning(results, place):
    alone = compare(place(results[0]))
    assert (alone.pooled, len(alone.trials)) == (False, 1)
    assert "One result: there is nothing to pool it with." in alone.warnings
    two = compare(place(results[0], results[1]))
    row = of(two, "gap")
    assert (row.df, row.prediction_lower) == (1, None)
    assert "no prediction interval from two trials" in row.note
    assert any("one degree of freedom" in text for text in two.warnings)
    three = compare(place())
    assert not any(text.startswith("Two trials") for text in three.warnings)


def test_small_degrees_of_freedom_other_methods_and_scores_are_said(results, place):
    small = with_rows(results[1], "gap", df=4.2)
    other = with_settings(
        results[2], method="bayesian", scores="rectified", n_participants=None, uncorrected=("conversation",)
    )
    told = " ".join(compare(place(results[0], small, other)).warnings)
    assert "t2 (4.2)" in told
    assert "frequentist in t1, t2; bayesian in t3" in told
    assert "as given in t1, t2; rectified in t3" in told
    assert "Automatic scores are not corrected for the scorer's errors: conversation of t3." in told
    assert "Standard errors of t3 take answers of one person as independent" in told
    assert not any(
        word in " ".join(compare(place()).warnings)
        for word in ("degrees of freedom", "bayesian", "rectified", "Automatic")
    )


def test_trials_that_differ_more_than_the_prior_expects_are_said(results, place):
    row = results[1].row("gap")
    far = with_rows(results[1], "gap", estimate=row.estimate - 1.0, lower=row.lower - 1.0, upper=row.upper - 1.0)
    folders = place(results[0], far, results[2])
    told = [text for text in compare(folders).warnings if "prior of tau expects" in text]
    assert len(told) == 1
    assert " in gap: " in told[0]
    assert of(compare(folders), "gap").tau > 0.15
    wider = compare(folders, prior=PoolingPrior(tau_scale=0.5))
    assert not any("prior of tau expects" in text for text in wider.warnings)


def test_names_tell_folders_apart(results, place):
    folders = place(results[0], results[1], names=("a/out", "b/out"))
    assert [one.name for one in compare(folders).trials] == ["a/out", "b/out"]


def test_a_folder_of_results_is_taken_whole(place, tmp_path):
    place(names=("all/x", "all/y", "z"))
    write_index(tmp_path / "all", Index("Both", "", ("y", "x")))
    assert [one.name for one in compare([tmp_path / "all", tmp_path / "z"]).trials] == ["y", "x", "z"]


def test_no_folder_and_no_result_are_refused(tmp_path):
    with pytest.raises(AnalysisError, match="no result folder was named"):
        compare([])
    with pytest.raises(OutputError, match="no result here"):
        compare([tmp_path])


def test_the_files_hold_every_row_and_the_hashes_of_the_inputs(place, tmp_path):
    together = compare(place())
    folder = write_synthesis(together, tmp_path / "new")
    assert {path.name for path in folder.iterdir()} == {
        *("synthesis.csv", "synthesis.json", "report.html", "report.md", "figures")
    }
    with (folder / "synthesis.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(together.rows)
    keys = [(row["quantity"], row["kind"], row["method"], row["trial"]) for row in rows]
    assert len(set(keys)) == len(keys)
    gap = next(row for row in rows if (row["quantity"], row["method"]) == ("gap", "hartung-knapp"))
    assert float(gap["estimate"]) == of(together, "gap").estimate
    document = json.loads((folder / "synthesis.json").read_text(encoding="utf-8"))
    assert document["schema"] == "rctgap/synthesis/1"
    hashes = [one["result_sha256"] for one in document["trials"]]
    assert len(set(hashes)) == 3
    assert [one["trial_sha256"] for one in document["trials"]] == [["one"], ["two"], ["three"]]


def test_a_synthesis_replaces_a_synthesis_and_nothing_else(results, place, tmp_path):
    together = compare(place())
    folder = write_synthesis(together, tmp_path / "new")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    write_synthesis(together, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        write_synthesis(together, folder)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "synthesis.json").write_text("{}", encoding="utf-8")
    with pytest.raises(OutputError, match="another schema"):
        rg.save(results[0], foreign)
    assert (foreign / "synthesis.json").read_text(encoding="utf-8") == "{}"


def test_the_console_shows_every_trial_and_both_ways_to_pool(place):
    together = compare(place())
    text = synthesis_text(together)
    assert "3 results, arm all of each" in text
    gap = of(together, "gap")
    assert f"{100 * gap.estimate:.1f} ({100 * gap.lower:.1f} to {100 * gap.upper:.1f})" in text
    lines = [line for line in text.splitlines() if line.startswith("gap ")]
    assert len(lines) == 3  # side by side, means, spread
    assert lines[0].count("(") == 3


def test_many_trials_are_printed_one_a_row(results, place):
    folders = place(*results, results[0], names=("t1", "t2", "t3", "t4", "t5"))
    text = synthesis_text(compare(folders, side_by_side=True))
    assert "t4" in next(line for line in text.splitlines() if line.startswith("quantity"))
    more = rg.save(results[1], folders[0].parent / "t5")
    text = synthesis_text(compare([*folders, more], side_by_side=True))
    assert [line.split()[1] for line in text.splitlines() if line.startswith("gap ")] == ["t1", "t2", "t3", "t4", "t5"]


def test_the_figure_shows_what_the_rows_say(place):
    together = compare(place())
    figure = prepare_pooled(together)
    gap = next(one for one in figure.quantities if one.kind == "gap")
    assert [mark.name for mark in gap.marks] == ["t1", "t2", "t3", "pooled", "pooled, Bayesian", "a new trial"]
    row = of(together, "gap")
    mean = gap.marks[3]
    assert (mean.estimate, mean.lower, mean.upper) == pytest.approx(
        (100 * row.estimate, 100 * row.lower, 100 * row.upper)
    )
    assert gap.marks[5].lower == pytest.approx(100 * row.prediction_lower)
    drawn = svg(pooled(together))
    picture = xml.dom.minidom.parseString(drawn)  # noqa: S318 - our own output
    told = picture.getElementsByTagName("desc")[0].firstChild.data
    assert told == figure.description
    beside = prepare_pooled(compare(place(), side_by_side=True))
    assert [mark.name for mark in beside.quantities[0].marks] == ["t1", "t2", "t3"]
    assert "3 results side by side" in beside.title


def test_long_names_keep_what_tells_them_apart(place):
    names = tuple(f"a very long name of a result, number {number}" for number in (1, 2, 3))
    marks = prepare_pooled(compare(place(names=names), side_by_side=True)).quantities[0].marks
    assert len({mark.name for mark in marks}) == 3
    assert max(len(mark.name) for mark in marks) <= 20


def test_names_and_titles_cannot_break_the_page(results, place, tmp_path):
    hostile = "<script>alert('x')</script> | `b` $\\frac{1}{2}$"
    folders = place(*(replace(one, title=hostile) for one in results), names=("<b>&amp;", "$x^2$", "c|d"))
    folder = write_synthesis(compare(folders), tmp_path / "new")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>&amp;<" not in page
    xml.dom.minidom.parse(str(folder / "figures" / "pooled.svg"))  # noqa: S318 - our own output
    assert "<script" not in (folder / "report.md").read_text(encoding="utf-8")


def test_side_by_side_alone_makes_a_page_without_pooling(place, tmp_path):
    folder = write_synthesis(compare(place(), side_by_side=True), tmp_path / "new")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Nothing is pooled" in page
    assert "Hartung" not in page


def test_a_prior_without_a_scale_is_refused(place):
    with pytest.raises(EstimationError, match="tau_scale"):
        compare(place(), prior=PoolingPrior(tau_scale=0.0))


def test_the_table_of_rows_reads_back(place, tmp_path):
    folder = write_synthesis(compare(place()), tmp_path / "new")
    frame = pd.read_csv(folder / "synthesis.csv")
    assert set(frame["method"]) == {"trial", "hartung-knapp", "hierarchical", "shrunken"}
    assert (frame["upper"] > frame["lower"])[frame["lower"].notna()].all()
