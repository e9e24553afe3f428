"""Figures: what the prepare functions pick out of a result, and that the drawings stand up to odd results."""

import re
import warnings
import xml.dom.minidom
from dataclasses import replace
from functools import cache
from html import escape

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import rctgap as rg
from rctgap.plots import flows, forest, ladder, prepare_flows, prepare_forest, prepare_ladder, svg
from rctgap.plots.style import limits, span
from rctgap.plots.words import lost_or_gained, signed, trimmed

HOSTILE = "<script>alert('x')</script> \"q\" ]]> $\\frac{1}{2}$ \x00\n 漢字 " + "very long " * 30
DRAWINGS = (ladder, forest, flows)
ASSUMED = {"own_query": ("task.query_authorship", "task.information_completeness")}


def trial_frame(arms, control, stages, people=40):
    random = np.random.default_rng(20260522)
    chance = dict(zip(stages, np.linspace(0.8, 0.35, len(stages)), strict=True))
    rows = []
    for arm in [*arms, *([control] if control else [])]:
        for person in range(people):
            for item in random.choice(6, 2, replace=False):
                scores = {name: int(random.random() < chance[name]) for name in stages}
                if arm == control:
                    scores = {name: value if name == stages[-1] else None for name, value in scores.items()}
                rows.append({"arm": arm, "participant": f"{arm}-{person}", "item": f"i{item}", **scores})
    return pd.DataFrame(rows)


@cache
def decomposed(arms=("a1",), control="control", stages=("own_query", "conversation", "decision"), benchmark=True):
    runs = None
    chain = [rg.Stage(name) for name in stages]
    if benchmark:
        chain = [rg.Stage("benchmark", source="benchmark"), *chain]
        runs = pd.DataFrame(
            [
                {"system": arm, "item": f"i{i}", "benchmark": int(r < 9)}
                for arm in arms
                for i in range(6)
                for r in range(10)
            ]
        )
    transitions = [
        rg.Transition(stage.name, "outcome" if stage.name == stages[-1] else "task", ASSUMED.get(stage.name, ()))
        for stage in chain[1:]
    ]
    trial = rg.read_trial(
        trial_frame(arms, control, stages), benchmark=runs, design=rg.Design(control=control, ai=list(arms))
    )
    scores = rg.score_stages(trial, rg.Chain(tuple(chain), tuple(transitions)))
    estimand = rg.Estimand(items="fixed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RctgapWarning)
        return rg.decompose(rg.estimate_frequentist(scores, estimand), estimand, title="A trial")


@pytest.fixture(scope="module")
def result():
    return decomposed()


def edited(result, **changes):
    """The result with fields of the rows of one quantity replaced."""
    quantity = changes.pop("quantity")
    rows = tuple(replace(row, **changes) if row.quantity == quantity else row for row in result.components)
    return replace(result, components=rows)


# ---------------------------------------------------------------- ladder


def test_the_ladder_holds_the_stages_in_percent(result):
    data = prepare_ladder(result)
    assert data.arm == "a1"
    assert [level.name for level in data.levels] == ["benchmark", "own_query", "conversation", "decision"]
    for level in data.levels:
        row = next(one for one in result.stages if (one.arm, one.stage) == ("a1", level.name))
        assert (level.estimate, level.lower, level.upper) == tuple(
            100 * one for one in (row.estimate, row.lower, row.upper)
        )


def test_the_steps_of_the_ladder_are_the_components(result):
    data = prepare_ladder(result, "a1")
    assert [step.family for step in data.steps] == ["task", "task", "outcome"]
    assert [step.estimate for step in data.steps] == [100 * result.row(step.name, "a1").estimate for step in data.steps]
    drops = [one.estimate - two.estimate for one, two in zip(data.levels, data.levels[1:], strict=False)]
    assert [step.estimate for step in data.steps] == pytest.approx(drops)


def test_the_ladder_shows_the_control_arm_and_every_effect(result):
    data = prepare_ladder(result)
    control = next(row for row in result.stages if row.arm == "control")
    assert data.control.estimate == 100 * control.estimate
    assert [effect.name for effect in data.effects][0::3] == ["predicted_effect", "realized_effect"]
    assert data.effects[-1].lower == 100 * result.row("realized_effect", "a1").lower


def test_the_title_says_what_is_lost(result):
    gap = 100 * result.row("gap").estimate
    assert prepare_ladder(result).title == f"Benchmark 90.0 %, decision {90 - gap:.1f} %: {gap:.1f} points lost"


def test_several_arms_default_to_all_of_them():
    both = decomposed(arms=("a1", "a2"))
    assert [prepare(both).arm for prepare in (prepare_ladder, prepare_forest, prepare_flows)] == ["all"] * 3
    assert prepare_ladder(both, "a2").levels[-1] != prepare_ladder(both, "a1").levels[-1]


def test_without_control_there_is_no_effect_and_the_figure_says_so():
    alone = decomposed(control=None)
    data = prepare_ladder(alone)
    assert (data.control, data.effects) == (None, ())
    assert "No control arm: effects cannot be estimated" in svg(ladder(alone))


def test_a_change_of_system_is_told_at_its_step(result):
    systems = tuple(
        replace(row, found=("Other",)) if row.stage in ("conversation", "decision") else row for row in result.systems
    )
    mixed = replace(result, systems=systems)
    assert [step.note for step in prepare_ladder(mixed).steps] == ["", "the system changes here: a1 to Other", ""]
    assert "the system changes here: a1 to Other" in svg(forest(mixed))


def test_a_missing_interval_says_why(result):
    bare = edited(result, quantity="conversation", lower=None, upper=None, note="no interval: one item")
    assert prepare_ladder(bare).steps[1].note == "no interval: one item"
    assert {"no interval: one item"} == {one.note for one in prepare_forest(bare).rows[1].entries}
    assert ", no interval" in svg(forest(bare))


def test_a_hidden_stage_leaves_room_and_says_why(result):
    gone = {"estimate": None, "lower": None, "upper": None, "note": "hidden: fewer than 5 people"}
    stages = tuple(replace(row, **gone) if row.stage == "conversation" else row for row in result.stages)
    hidden = replace(
        edited(edited(result, quantity="conversation", **gone), quantity="decision", **gone), stages=stages
    )
    picture = svg(ladder(hidden))
    assert "conversation: AI in the real chat: not estimated" in picture
    assert "hidden: fewer than 5 people" in picture
    assert "not estimated" in svg(forest(hidden))


def test_a_gap_that_is_a_gain_is_titled_so(result):
    assert prepare_forest(edited(result, quantity="gap", estimate=-0.031)).title.startswith(
        "Where 3.1 points are gained"
    )


def test_a_ladder_can_be_drawn_into_given_axes(result):
    axes = Figure().add_subplot()
    assert ladder(result, ax=axes) is axes.figure
    assert axes.get_xlim() == (0.0, 100.0)


# ---------------------------------------------------------------- forest


def test_the_forest_puts_estimands_side_by_side(result):
    data = prepare_forest(result)
    assert data.estimands[0] == "items fixed, mix as observed"
    assert "items random, mix as observed" in data.estimands
    assert [row.quantity for row in data.rows] == ["own_query", "conversation", "decision", "task", "outcome", "gap"]
    first = data.rows[0]
    assert first.assumptions == "task.query_authorship;task.information_completeness"
    row = result.row("own_query", "a1")
    assert (first.entries[0].estimate, first.entries[0].upper) == (100 * row.estimate, 100 * row.upper)
    assert "task.query_authorship, task.information_completeness" in svg(forest(result))


def test_every_value_is_printed_on_the_forest(result):
    picture = svg(forest(result))
    for row in prepare_forest(result).rows:
        for one in row.entries:
            assert f"({signed(one.lower).removeprefix('+')} to {signed(one.upper).removeprefix('+')})" in picture


# ---------------------------------------------------------------- flows


def test_flows_are_shares_of_pairs_and_net_to_the_component(result):
    first, *paired = prepare_flows(result).flows
    assert (first.lost, first.reason) == (None, "the benchmark is an independent sample, not paired with answers")
    for flow in paired:
        row = result.row(flow.to, "a1")
        assert (flow.lost, flow.lost_count) == (100 * row.lost, row.lost_count)
        assert flow.lost - flow.gained == pytest.approx(flow.net)


def test_hidden_flows_say_that_they_are_hidden(result):
    note = "flows hidden: fewer than 5 people, successes or failures (suppress_below)"
    blank = edited(result, quantity="decision", lost=None, gained=None, lost_count=None, gained_count=None, note=note)
    assert prepare_flows(blank).flows[-1].reason == note.removeprefix("flows ")
    assert "hidden: fewer than 5" in svg(flows(blank))


# ---------------------------------------------------------------- drawing


@pytest.mark.parametrize("draw", DRAWINGS)
@pytest.mark.parametrize(
    "case",
    [
        {"control": None},
        {"benchmark": False},
        {"arms": (HOSTILE, "a2")},
        {"stages": ("own_query", "conversation", "a_stage_with_a_name_that_goes_on_" * 4, "decision")},
    ],
    ids=["no control", "no benchmark", "hostile arm", "five stages"],
)
def test_odd_results_are_drawn_within_the_figure(draw, case):
    made = decomposed(**case)
    arm = made.settings.arms[0]
    figure = draw(made, arm)
    picture = svg(figure)
    assert "<script" not in picture
    xml.dom.minidom.parseString(picture)  # noqa: S318 - our own output
    assert figure.get_figwidth() <= 8
    width = figure.get_figwidth() * figure.dpi
    outside = [text for text, box in words_of(figure) if box.x0 < -1 or box.x1 > width + 1]
    assert outside == []


def words_of(figure):
    """Every piece of text that is visible, with its box."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure.draw_without_rendering()
        axes = [one for one in figure.axes if one.axison]
        ticks = [label for one in axes for label in one.get_xticklabels() if within(one, label.get_position()[0])]
        texts = [
            *figure.texts,
            *(text for one in figure.axes for text in one.texts),
            *(one.xaxis.label for one in axes),
        ]
        return [(text.get_text(), text.get_window_extent()) for text in [*texts, *ticks] if text.get_text().strip()]


def within(axes, value):
    low, high = axes.get_xlim()
    return low <= value <= high


@pytest.mark.parametrize("draw", DRAWINGS)
def test_no_two_words_collide(draw, result):
    boxes = [box.shrunk(0.9, 0.7) for _, box in words_of(draw(result))]
    assert len(boxes) > 10
    assert [(a, b) for n, a in enumerate(boxes) for b in boxes[:n] if a.overlaps(b)] == []


@pytest.mark.parametrize("draw", DRAWINGS)
def test_words_are_large_enough(draw, result):
    assert min(text.get_size() for text in draw(result).findobj(mpl.text.Text) if text.get_text()) >= 9


@pytest.mark.parametrize("draw", DRAWINGS)
def test_a_picture_is_named_described_and_the_same_every_time(draw, result):
    figure = draw(result)
    first = svg(figure, "p")
    assert first == svg(draw(result), "p")
    title, _, description = figure.get_label().partition("\n")
    assert 'role="img" aria-labelledby="p-title p-desc"' in first
    assert f'<title id="p-title">{title}</title>' in first
    assert f'<desc id="p-desc">{escape(description)}</desc>' in first
    assert all(name.startswith("p-") for name in re.findall(r' id="([^"]*)"', first))
    assert all(name.startswith("p-") for name in re.findall(r"url\(#([^)]*)\)", first))
    assert "<metadata" not in first


@pytest.mark.parametrize("draw", DRAWINGS)
def test_drawing_leaves_the_users_settings_alone(draw, result):
    with mpl.rc_context({"font.size": 3, "text.usetex": False, "svg.fonttype": "path"}):
        before = dict(mpl.rcParams)
        picture = svg(draw(result))
        assert dict(mpl.rcParams) == before
    assert picture == svg(draw(result))


@pytest.mark.parametrize("draw", DRAWINGS)
def test_an_unknown_arm_is_refused(draw, result):
    with pytest.raises(KeyError):
        draw(result, "nobody")


def test_an_interval_beyond_the_panel_is_cut_and_carries_an_arrow():
    axes = Figure().add_subplot()
    axes.set_xlim(0, 100)
    span(axes, 0.0, -10.0, 127.3)
    assert [line.get_marker() for line in axes.lines] == ["<", ">"]
    segment = axes.collections[0].get_segments()[0]
    assert segment[:, 0].tolist() == [0.0, 100.0]


def test_an_interval_within_the_panel_has_two_ends():
    axes = Figure().add_subplot()
    axes.set_xlim(0, 100)
    span(axes, 0.0, 20.0, 30.0)
    assert len(axes.lines) == 0
    assert len(axes.collections) == 3


def test_limits_hold_zero_and_stay_within_points():
    assert limits([250.0, -3.0]) == (pytest.approx(-8.15), 100.0)
    low, high = limits([])
    assert low < 0 < high


@pytest.mark.parametrize(
    ("value", "text"), [(-13.0, "\u221213.0"), (47.67, "+47.7"), (-0.04, "0.0"), (0.0, "0.0")], ids=str
)
def test_points_carry_their_sign(value, text):
    assert signed(value) == text


def test_a_step_up_is_told_as_a_gain():
    assert (lost_or_gained(3.21), lost_or_gained(-3.21)) == ("3.2 points lost", "3.2 points gained")


def test_long_text_is_cut():
    assert trimmed("abc def ghi", 8) == "abc def…"
