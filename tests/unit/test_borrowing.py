"""A stage taken from another arm: whose rows, what variance, and what is said."""

import pytest

import rctgap as rg

WHY = "the first message precedes any reply"


def design(*arms, control="control"):
    loan = rg.Borrowing("own_query", "lender", WHY)
    return rg.Design(control, [rg.Arm(arm, borrowed=(loan,)) for arm in arms])


def frame_of(study, *arms):
    """No participants, so that every variance is a sum over answers."""
    frame = study.simulated(people=20, arms=(*arms, "lender", "control"), answers=1)
    return frame.drop(columns="participant")


def squares(values):
    return ((values - values.mean()) ** 2).sum() / values.size**2


@pytest.fixture(scope="module")
def single(study):
    frame = frame_of(study, "a1")
    return frame, study.decomposed(frame, study.benchmark(), design=design("a1"))


def test_the_borrowed_mean_is_the_lenders(single, study):
    frame, result = single
    lent = frame.loc[frame["arm"] == "lender", "own_query"]
    assert study.stage(result, "own_query", "a1").estimate == pytest.approx(lent.mean())
    assert study.stage(result, "conversation", "a1").estimate == pytest.approx(
        frame.loc[frame["arm"] == "a1", "conversation"].mean()
    )


def test_the_step_after_it_adds_the_variances(single):
    frame, result = single
    lent = frame.loc[frame["arm"] == "lender", "own_query"].to_numpy()
    talk = frame.loc[frame["arm"] == "a1", "conversation"].to_numpy()
    row = result.row("conversation")
    assert row.std_error**2 == pytest.approx((squares(lent) + squares(talk)) * 40 / 38)
    assert row.n == 40


def test_the_step_before_it_adds_the_variance_of_the_runs(single):
    frame, result = single
    lent = frame.loc[frame["arm"] == "lender", "own_query"].to_numpy()
    runs = 0.75 * 0.25 / 11
    assert result.row("own_query").std_error ** 2 == pytest.approx(squares(lent) * 20 / 19 + runs)


def test_flows_say_why_they_are_absent(single):
    _, result = single
    row = result.row("conversation")
    assert (row.lost, row.lost_count) == (None, None)
    assert "unpaired: own_query is borrowed from lender" in row.note
    assert result.row("decision").lost is not None


def test_the_lender_is_kept_for_its_rows_and_not_analysed(single, study):
    _, result = single
    assert {row.arm for row in result.components} == {"a1", "all"}
    assert not [row for row in result.attrition if row.step == "arms"]
    system = next(row for row in result.systems if (row.arm, row.stage) == ("a1", "own_query"))
    assert (system.borrowed_from, system.because) == ("lender", WHY)
    assert any(WHY in note for note in result.notes)
    assert any("item mix" in text for text in (*result.notes, *result.warnings))


def test_two_arms_that_borrow_share_the_lenders_influence(study):
    frame = frame_of(study, "a1", "a2")
    result = study.decomposed(frame, study.benchmark(("a1", "a2")), design=design("a1", "a2"))
    lent = frame.loc[frame["arm"] == "lender", "own_query"].to_numpy()
    pooled, alone = study.stage(result, "own_query"), study.stage(result, "own_query", "a1")
    assert pooled.estimate == pytest.approx(lent.mean())
    assert pooled.std_error**2 == pytest.approx(squares(lent) * 20 / 19)
    assert pooled.std_error == pytest.approx(alone.std_error)
    assert pooled.n == alone.n == 20


def test_pooled_step_after_a_shared_loan(study):
    frame = frame_of(study, "a1", "a2")
    result = study.decomposed(frame, study.benchmark(("a1", "a2")), design=design("a1", "a2"))
    lent = frame.loc[frame["arm"] == "lender", "own_query"].to_numpy()
    talks = [frame.loc[frame["arm"] == arm, "conversation"].to_numpy() for arm in ("a1", "a2")]
    expected = (squares(lent) + sum(squares(talk) for talk in talks) / 4) * 60 / 57
    assert result.row("conversation").std_error ** 2 == pytest.approx(expected)


def test_a_lender_that_is_analysed_too_stays_correlated_with_itself(study):
    frame = frame_of(study, "a1")
    loan = rg.Borrowing("own_query", "lender", WHY)
    both = rg.Design("control", [rg.Arm("a1", borrowed=(loan,)), "lender"])
    result = study.decomposed(frame, study.benchmark(("a1", "lender")), design=both)
    lender = frame[frame["arm"] == "lender"]
    query, talk = lender["own_query"].to_numpy(), lender["conversation"].to_numpy()
    mine = frame.loc[frame["arm"] == "a1", "conversation"].to_numpy()
    # pooled: query (both halves on the lender's rows) minus half of each arm's conversation
    shared = (((query - query.mean()) - (talk - talk.mean()) / 2) ** 2).sum() / 20**2
    expected = (shared + squares(mine) / 4) * 40 / 38
    assert result.row("conversation").std_error ** 2 == pytest.approx(expected)


def test_two_arms_of_one_system_share_its_runs(study):
    frame = study.simulated(arms=("a1", "a2", "control"))
    one_system = rg.Design("control", [rg.Arm("a1", "GPT"), rg.Arm("a2", "GPT")])
    result = study.decomposed(frame, study.benchmark(("GPT",)), design=one_system)
    row = study.stage(result, "benchmark")
    assert row.n == 12
    assert row.std_error**2 == pytest.approx(0.75 * 0.25 / 11)
