"""What a trial must be, what is left out of it and said, and that handed-out frames are copies."""

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.errors import DataError

FRAME = pd.DataFrame(
    {
        "participant": ["p1", "p2", "p3", "p4"],
        "arm": ["a1", "a1", "control", "control"],
        "site": ["x", "y", "x", "y"],
        "decision": [1, 0, 1, 1],
        "count": [3, 4, 5, 6],
    }
)


def read(frame=FRAME, design=None, **options):
    return rg.read_trial(frame, design=design or rg.Design("control", ["a1"]), **options)


def test_a_design_needs_an_arm():
    with pytest.raises(DataError, match="no AI arm"):
        rg.Design("control", [])


@pytest.mark.parametrize(
    ("control", "ai"), [("a1", ["a1"]), (None, ["a1", "a1"]), ("control", ["all"]), ("all", ["a1"])]
)
def test_every_arm_has_a_label_of_its_own(control, ai):
    with pytest.raises(DataError, match="label must be its own"):
        rg.Design(control, ai)


def test_an_arm_given_as_text_is_one_arm():
    assert [arm.label for arm in rg.Design(None, "gpt").arms] == ["gpt"]


@pytest.mark.parametrize("because", ["", "  \n"])
def test_borrowing_needs_a_reason(because):
    with pytest.raises(DataError, match="without a reason"):
        rg.Borrowing("own_query", "a2", because)


def test_labels_are_control_arms_and_lenders_each_once():
    loan = rg.Borrowing("own_query", "a3", "same opening screen")
    design = rg.Design("c", [rg.Arm("a1", borrowed=(loan,)), rg.Arm("a2", borrowed=(loan,))])
    assert design.labels == ("c", "a1", "a2", "a3")
    assert design.arms[0].rows_of("own_query") == "a3"
    assert design.arms[0].rows_of("decision") == "a1"
    assert (design.arms[0].borrows("own_query"), design.arms[0].borrows("decision")) == (True, False)


def test_every_arm_without_rows_is_named():
    with pytest.raises(DataError) as caught:
        read(design=rg.Design("placebo", ["a1", "a9"]))
    assert {fault.value for fault in caught.value.faults} == {"placebo", "a9"}


def test_arms_coded_as_numbers_may_be_named_as_numbers():
    coded = FRAME.assign(arm=[1, 1, 0, 0])
    assert read(coded, rg.Design(0, [1])).design.labels == ("0", "1")


def test_arms_coded_as_numbers_are_named_as_text():
    coded = FRAME.assign(arm=[1, 1, 0, 0])
    assert set(read(coded, rg.Design("0", ["1"])).answers["arm"].astype(str)) == {"0", "1"}


def test_a_blank_arm_is_a_fault_with_its_row():
    with pytest.raises(DataError, match=r"row 3.*the arm is blank"):
        read(FRAME.assign(arm=["a1", "a1", None, "control"]))


def test_a_participant_in_two_arms_is_a_fault_unless_the_design_says_so():
    crossed = FRAME.assign(participant=["p1", "p2", "p1", "p4"])
    with pytest.raises(DataError, match=r"row 3.*'p1'.*second arm"):
        read(crossed)
    assert len(read(crossed, rg.Design("control", ["a1"], crossover=True)).answers) == 4


def test_a_sensitive_participant_is_not_named():
    fields = [{"name": name, "role": name} for name in ("arm", "count")]
    fields += [{"name": "participant", "role": "participant", "sensitive": True}, {"name": "site"}]
    fields += [{"name": "decision", "type": "integer", "role": "score"}]
    known = {"schema": "rctgap/dictionary/1", "tables": {"trial": {"fields": fields}}}
    with pytest.raises(DataError) as caught:
        read(FRAME.assign(participant=["p1", "p2", "p1", "p4"]), dictionary=known)
    assert "p1" not in str(caught.value)


def test_a_stratum_must_be_a_column():
    with pytest.raises(DataError, match=r"sites: a stratum names no column"):
        read(design=rg.Design("control", ["a1"], strata=("sites",)))


def test_the_arm_column_is_found_or_asked_for():
    with pytest.raises(DataError, match="no column has the role `arm`"):
        read(FRAME.drop(columns="arm"))
    fields = [
        {"name": "first", "role": "arm"},
        {"name": "second", "role": "arm"},
        {"name": "decision", "role": "score"},
    ]
    known = {"schema": "rctgap/dictionary/1", "tables": {"trial": {"fields": fields}}}
    frame = pd.DataFrame({"first": ["a1", "control"], "second": ["control", "a1"], "decision": [1, 0]})
    with pytest.raises(DataError, match="columns first, second have the role `arm`"):
        read(frame, dictionary=known)
    chosen = read(frame, rg.Design("control", ["a1"], column="second"), dictionary=known)
    assert chosen.column("arm") == "second"
    with pytest.raises(DataError, match="does not have the role `arm`"):
        read(frame, rg.Design("control", ["a1"], column="decision"), dictionary=known)


def test_exclusions_apply_in_order_and_are_counted_in_answers():
    rules = [rg.Exclusion({"site": "x", "arm": "a1"}, "pilot"), rg.Exclusion({"arm": "control"}, "odd")]
    with pytest.raises(DataError, match="no row is in this arm"):
        read(exclude=rules)
    trial = read(exclude=[rules[0]])
    steps = [(one.step, one.arm, one.n_in, one.n_out, one.reason) for one in trial.attrition]
    assert steps == [
        ("read", "a1", 7, 7, "as received"),
        ("read", "control", 11, 11, "as received"),
        ("exclude", "a1", 7, 4, "pilot"),
        ("exclude", "control", 11, 11, "pilot"),
    ]
    assert sorted(trial.answers["participant"]) == ["p2", "p3", "p4"]


@pytest.mark.parametrize("value", [1, "1", 1.0])
@pytest.mark.parametrize("kind", ["int64", "float64", "Int64"])
def test_an_exclusion_by_a_number_finds_its_rows(value, kind):
    frame = FRAME.assign(wave=pd.Series([1, 2, 1, 2], dtype=kind))
    assert sorted(read(frame, exclude=[rg.Exclusion({"wave": value}, "pilot")]).answers["participant"]) == ["p2", "p4"]


def test_an_exclusion_by_a_number_finds_its_rows_in_text():
    frame = FRAME.assign(wave=["1", "2", "1", "2"])
    assert sorted(read(frame, exclude=[rg.Exclusion({"wave": 1}, "pilot")]).answers["participant"]) == ["p2", "p4"]


def test_an_exclusion_of_an_unknown_column_is_refused():
    with pytest.raises(DataError, match=r"sites.*an exclusion names no column"):
        read(exclude=[rg.Exclusion({"sites": "x"}, "pilot")])


def test_arms_outside_the_analysis_are_accounted_for(study):
    frame = study.simulated(people=4, arms=("a1", "a2", "control"))
    scores = study.scored(frame, study.benchmark())
    assert ("arms", "a2", 8, 0) in [(one.step, one.arm, one.n_in, one.n_out) for one in scores.attrition]
    assert set(scores.answers["arm"]) == {"a1", "control"}


def test_faults_of_all_tables_come_together(study):
    frame = study.simulated(people=2).assign(count=-1)
    runs = study.benchmark().assign(count=-1)
    with pytest.raises(DataError) as caught:
        rg.read_trial(frame, benchmark=runs, design=rg.Design("control", ["a1"]))
    assert {fault.file for fault in caught.value.faults} == {"trial", "benchmark"}


def test_nothing_done_to_a_handed_out_frame_reaches_the_result(study):
    frame, runs = study.simulated(), study.benchmark()
    before = study.decomposed(frame, runs, companions=True)
    trial = rg.read_trial(frame, benchmark=runs, design=rg.Design("control", ["a1"]))
    frame.loc[:, "decision"] = 0.5
    runs.loc[:, "benchmark"] = 0.5
    answers, handed_runs = trial.answers, trial.runs
    answers.loc[:, "decision"] = 0.25
    handed_runs.loc[:, "benchmark"] = 0.25
    scores = rg.score_stages(trial, rg.DEFAULT_CHAIN)
    patterns, run_patterns = scores.answers, scores.runs
    patterns.loc[:, "decision"] = np.nan
    run_patterns.loc[:, "score"] = np.nan
    estimand = rg.Estimand(items="fixed")
    with pytest.warns(rg.RctgapWarning):
        after = rg.decompose(rg.estimate_frequentist(scores, estimand), estimand)
    assert after.components == before.components
    assert after.stages == before.stages


def test_the_dictionary_must_describe_every_table_given():
    known = {"schema": "rctgap/dictionary/1", "tables": {"items": {"fields": [{"name": "item", "role": "item"}]}}}
    with pytest.raises(DataError, match="does not describe this table"):
        read(dictionary=known)
