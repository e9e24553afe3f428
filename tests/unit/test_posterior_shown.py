"""What people see of a posterior: report, console and figures, from rows alone."""

import re
import warnings
import xml.dom.minidom
from dataclasses import replace
from functools import cache

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.estimates import Sampling
from rctgap.plots import (
    both_schools,
    posterior,
    predictive,
    predictive_arms,
    prepare_posterior,
    prepare_predictive,
    prepare_schools,
    schools,
    svg,
)
from rctgap.records import CheckResult, FitRow, PosteriorRow, PredictiveRow, PriorRow
from rctgap.report import NamedResult, render_html, render_markdown
from rctgap.report.chapter import chapter
from rctgap.report.further import intervals_section
from rctgap.report.methods import methods_section
from rctgap.report.model_checks import model_checks_section
from rctgap.report.posterior import posterior_section
from rctgap.report.schools import schools_section

HOSTILE = "<script>alert('x')</script> \"q\" ]]> | `a` {{ 7 * 7 }} \x00\n " + "long " * 40
STAGES = ("benchmark", "own_query", "conversation", "decision")
MARGIN = 0.05


def trial_frame(arms, control):
    random = np.random.default_rng(20260522)
    chance = dict(zip(STAGES[1:], (0.8, 0.6, 0.4), strict=True))
    rows = []
    for arm in (*arms, control):
        for person in range(40):
            for item in random.choice(6, 2, replace=False):
                scores = {name: int(random.random() < chance[name]) for name in STAGES[1:]}
                if arm == control:
                    scores = {name: value if name == "decision" else None for name, value in scores.items()}
                rows.append({"arm": arm, "participant": f"{arm}-{person}", "item": f"i{item}", **scores})
    return pd.DataFrame(rows)


@cache
def frequentist(arms=("a1",), control="control"):
    runs = pd.DataFrame(
        [{"system": arm, "item": f"i{i}", "benchmark": int(r < 9)} for arm in arms for i in range(6) for r in range(10)]
    )
    families = ("task", "task", "outcome")
    steps = [rg.Transition(name, family, ()) for name, family in zip(STAGES[1:], families, strict=True)]
    chain = rg.Chain((rg.Stage("benchmark", source="benchmark"), *map(rg.Stage, STAGES[1:])), tuple(steps))
    design = rg.Design(control=control, ai=list(arms))
    scores = rg.score_stages(rg.read_trial(trial_frame(arms, control), benchmark=runs, design=design), chain)
    estimand = rg.Estimand(items="fixed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RctgapWarning)
        made = rg.decompose(rg.estimate_frequentist(scores, estimand), estimand, title="A trial")
    return replace(made, estimates=None)


def drawn_row(row, quantity, kind, *, chained, **changes):
    """What a posterior might say of a frequentist row: drawn in by a tenth, a little narrower."""
    given = row.estimate is not None and row.lower is not None
    losses = kind in ("component", "family", "gap")
    values = {
        "mean": 0.9 * row.estimate if given else None,
        "median": 0.91 * row.estimate if given else None,
        "std_dev": 0.04 if given else None,
        "lower": 0.9 * row.lower if given else None,
        "upper": 0.9 * row.upper if given else None,
        "interval": "equal_tailed" if given else "",
        "prob_positive": 0.714 if given else None,
        "margin": MARGIN if losses else None,
        "prob_within_margin": 0.02 if losses and given else None,
        "prior_lower": -0.48 if chained and given else None,
        "prior_upper": 0.52 if chained and given else None,
        "r_hat": 1.0023 if chained and given else None,
        "ess_bulk": 2345.6 if chained and given else None,
        "ess_tail": 1789.2 if chained and given else None,
        "prior_sensitivity": 0.021 if chained and given else None,
        "likelihood_sensitivity": 0.11 if chained and given else None,
        "note": "" if given else row.note,
    }
    place = {"items": row.items, "item_weights": row.item_weights, "level": 0.95}
    estimator = "hierarchical" if chained else "bayesian bootstrap"
    return PosteriorRow(
        arm=row.arm, quantity=quantity, kind=kind, estimator=estimator, **place, **{**values, **changes}
    )


def posterior_rows(result, *, chained=True):
    for row in result.components:
        yield drawn_row(row, row.quantity, row.kind, chained=chained)
        if row.quantity == "task":
            yield drawn_row(row, "task_minus_outcome", "difference", chained=chained, prob_positive=0.9999)
    for row in (*result.stages, *result.other_stages):
        yield drawn_row(row, row.stage, "stage", chained=chained)


def bayesian_row(row, estimator="hierarchical"):
    ends = {name: None if getattr(row, name) is None else 0.9 * getattr(row, name) for name in ("estimate", "lower")}
    upper = None if row.upper is None else 0.9 * row.upper
    kind = "equal_tailed" if row.lower is not None else ""
    made = {"method": "bayesian", "estimator": estimator, "covariance": "", "small_sample": "", "df": None}
    return replace(row, **ends, upper=upper, interval=kind, **made)


PRIORS = (
    PriorRow("arm_sd", 1.0, 1.0, "half-normal", "Arms differ by about 1 on the logit scale."),
    PriorRow("item_sd", 0.5, 1.5, "half-normal", "Items differ by about 0.5 on the logit scale."),
)
FITS = (
    FitRow("full", -512.34, 21.0, 40.2, 0.0, 0.0, "participants", 0),
    FitRow("no_participants", -530.0, 20.0, 31.0, -17.66, 6.1, "participants", 2, "2 of 80 participants weigh much"),
)
SAMPLING = Sampling("pymc NUTS", (("pymc", "6.4.0"),), 4, 1000, 1500, 7, divergences=3, min_ebfmi=0.867)


def predictive_rows(arms=("a1", "control"), items=6):
    for arm in arms:
        for stage in STAGES[1:] if arm != "control" else STAGES[-1:]:
            for number in range(items + 1):
                item = f"i{number - 1}" if number else ""
                p = 0.004 if (arm, stage, item) == ("a1", "decision", "i2") else 0.3 + 0.05 * (number % 6)
                observed = 0.91 if p < 0.025 else 0.55
                yield PredictiveRow(arm, stage, item, 20, observed, 0.52, 0.31, 0.74, p)


def with_posterior(made, *, chained=True, **changes):
    values = {
        "posterior": tuple(posterior_rows(made, chained=chained)),
        "priors": PRIORS if chained else (),
        "predictive": tuple(predictive_rows((*made.settings.arms, "control"))) if chained else (),
        "fits": FITS if chained else (),
        "sampling": SAMPLING if chained else Sampling("dirichlet weights", (), 1, 10_000, 0, 7, independent=True),
    }
    return replace(made, **{**values, **changes})


@cache
def both(arms=("a1",), *, chained=True):
    """Frequentist rows with Bayesian ones beside them."""
    made = frequentist(arms)
    estimator = "hierarchical" if chained else "bayesian bootstrap"
    other = tuple(bayesian_row(row, estimator) for row in made.components)
    return with_posterior(made, chained=chained, alternatives=(*made.alternatives, *other))


@cache
def bayesian(arms=("a1",), *, chained=True):
    """Bayesian rows alone."""
    made = frequentist(arms)
    estimator = "hierarchical" if chained else "bayesian bootstrap"
    stages = tuple(
        replace(row, interval="equal_tailed" if row.lower is not None else "", method="bayesian", covariance="")
        for row in made.stages
    )
    return with_posterior(
        made,
        chained=chained,
        components=tuple(bayesian_row(row, estimator) for row in made.components),
        stages=stages,
        shares=tuple(
            replace(row, method="posterior", estimator=estimator) for row in made.shares if row.method == "fieller"
        ),
        alternatives=(),
        tests=(),
        settings=replace(made.settings, method="bayesian", estimator=estimator, covariance="", small_sample=""),
    )


@pytest.fixture(scope="module", params=["both", "bayesian", "bootstrap"])
def result(request):
    return {"both": both, "bayesian": bayesian, "bootstrap": lambda: bayesian(chained=False)}[request.param]()


def edited(made, table, change, **wanted):
    """The result with some rows of one table replaced."""
    rows = tuple(
        replace(row, **change) if all(getattr(row, key) == value for key, value in wanted.items()) else row
        for row in getattr(made, table)
    )
    return replace(made, **{table: rows})


def markdown(made):
    return render_markdown([NamedResult("one", made)])


SECTIONS = {
    "Posterior": lambda made: posterior_section(made, ()),
    "Priors and model checks": lambda made: model_checks_section(made, ()),
    "Bayesian beside frequentist": lambda made: schools_section(made, ()),
    "The same estimates with other intervals": intervals_section,
    "Methods": methods_section,
}


def section_of(made, title):
    found = SECTIONS[title](made)
    assert found is None or found.title == title
    return () if found is None else found.blocks


def section(made, title):
    """A section of the report as one text, cells and all."""
    return "\n".join(line for block in section_of(made, title) for line in lines(block))


def lines(block):
    if block.kind == "table":
        return [block.caption, " | ".join(block.header), *(" | ".join(row) for row in block.rows)]
    return [getattr(block, "text", ""), *map(str, getattr(block, "items", ()))]


def table(made, title, caption):
    """Rows of a table as mappings of heading to cell."""
    found = next(one for one in section_of(made, title) if one.kind == "table" and one.caption.startswith(caption))
    return [dict(zip(found.header, row, strict=True)) for row in found.rows]


CREDIBLE = "95 % credible interval, equal-tailed"


# ---------------------------------------------------------------- the posterior in words


def test_a_frequentist_result_says_nothing_of_a_posterior():
    text = markdown(frequentist())
    for word in ("Posterior", "credible", "Priors and model checks", "Bayesian beside"):
        assert word not in text
    assert "credible" not in str(frequentist())


def test_probabilities_are_told_in_words():
    told = section(bayesian(), "Posterior")
    assert "P(own query > 0) = 0.71, that points are lost at this step; P(|own query| < 5 points) = 0.02" in told
    assert "P(task > outcome) > 0.99, that more points are lost at task steps than at outcome steps." in told
    assert "P(gap > 0) = 0.71, that points are lost in all" in told
    assert "P(realized effect > 0) = 0.71, that decisions are better than in the control arm." in told
    assert "P(item mix" not in told


def test_the_prior_stands_beside_the_posterior():
    told = section(bayesian(), "Posterior")
    gap = next(row for row in bayesian().posterior if (row.arm, row.quantity, row.items) == ("a1", "gap", "fixed"))
    ends = f"{100 * gap.lower:.1f} and {100 * gap.upper:.1f}"
    assert f"put the gap between \u221248.0 and 52.0 points (95 %); with the data it lies between {ends}." in told
    assert "no prior of its own" in section(bayesian(chained=False), "Posterior")


def test_the_tables_have_the_numbers_of_the_rows():
    made = bayesian()
    rows = {row["quantity"]: row for row in table(made, "Posterior", "Points lost")}
    names = ["own query", "conversation", "decision", "task", "task minus outcome", "outcome", "gap", "item mix"]
    assert list(rows) == names
    gap = next(row for row in made.posterior if (row.arm, row.quantity, row.items) == ("a1", "gap", "fixed"))
    shown = rows["gap"]
    assert (shown["mean"], shown["median"]) == (f"{100 * gap.mean:.1f}", f"{100 * gap.median:.1f}")
    assert shown[CREDIBLE] == f"{100 * gap.lower:.1f} to {100 * gap.upper:.1f}"
    assert (shown["P(> 0)"], shown["P(under 5 points either way)"]) == ("0.71", "0.02")
    assert rows["task minus outcome"]["P(under 5 points either way)"] == "\u2013"


def test_the_mean_of_a_stage_and_the_component_of_that_name_are_told_apart():
    made = bayesian()
    stages = {(row["arm"], row["of"]): row["mean"] for row in table(made, "Posterior", "Right answers in percent")}
    losses = {row["quantity"]: row["mean"] for row in table(made, "Posterior", "Points lost")}
    mean = next(row.mean for row in made.posterior if (row.arm, row.quantity, row.kind) == ("a1", "decision", "stage"))
    assert stages["a1", "decision"] == f"{100 * mean:.1f}" != losses["decision"]
    assert ("control", "decision") in stages


def test_a_quantity_without_draws_is_left_blank_with_its_reason():
    nothing = {"mean": None, "median": None, "lower": None, "upper": None, "prob_positive": None, "note": "no pairs"}
    made = edited(bayesian(), "posterior", {**nothing, "prob_within_margin": None}, quantity="task", kind="family")
    row = next(one for one in table(made, "Posterior", "Points lost") if one["quantity"] == "task")
    assert (row["mean"], row[CREDIBLE], row["note"]) == ("\u2013", "\u2013", "no pairs")
    assert "P(task > 0)" not in section(made, "Posterior")


def test_highest_density_intervals_are_called_so():
    made = edited(bayesian(), "posterior", {"interval": "hdi"}, interval="equal_tailed")
    assert "95 % credible interval, highest-density" in section(made, "Posterior")


def test_no_interval_of_a_posterior_is_called_a_confidence_interval():
    for made in (bayesian(), bayesian(chained=False)):
        text = markdown(made)
        assert "onfidence" not in text
        assert "Brackets hold 95 % credible intervals (equal-tailed); items fixed, item weights observed." in text
        assert "Covariance" not in text
        assert "95 % credible set" in text
    assert CREDIBLE in markdown(both())
    assert "95 % confidence set" in markdown(both())


# ---------------------------------------------------------------- priors, checks and fits


def test_priors_are_shown_and_changes_named():
    rows = table(bayesian(), "Priors and model checks", "Priors")
    assert (rows[1]["prior"], rows[1]["value"], rows[1]["default"]) == ("item sd", "0.5", "1.5")
    assert rows[1]["what it means"] == "Items differ by about 0.5 on the logit scale."
    assert "Other than the default: item sd." in section(bayesian(), "Priors and model checks")


def test_the_worst_diagnostics_are_in_one_line():
    made = edited(bayesian(), "posterior", {"r_hat": 1.0234, "ess_tail": 321.0}, quantity="gap", items="fixed")
    told = section(made, "Priors and model checks")
    assert "pymc NUTS: 4 chains of 1,000 draws after 1,500 tuning steps each, seed 7." in told
    assert "largest R-hat 1.023, smallest effective sample size 2,346 in the bulk and 321 in the tails" in told
    assert "3 divergences, lowest E-BFMI 0.87." in told


def test_independent_draws_have_nothing_to_diagnose():
    told = section(bayesian(chained=False), "Priors and model checks")
    assert "10,000 independent draws (dirichlet weights, seed 7)" in told
    assert "R-hat" not in told


def test_what_stands_out_in_another_arm_is_listed_with_the_first():
    made = both(("a1", "a2"))
    caption = "Chains and sensitivity"
    title = "Priors and model checks"
    assert {row["arm"] for row in table(made, title, caption)} == {"all 2 AI arms"}
    worse = edited(made, "posterior", {"ess_bulk": 99.0}, arm="a2", quantity="gap", items="fixed")
    extra = [row for row in table(worse, title, caption) if row["arm"] == "a2"]
    assert {(row["quantity"], row["ESS, bulk"]) for row in extra} == {("gap", "99")}


def test_sensitivity_is_put_into_words():
    made, title = bayesian(), "Priors and model checks"
    assert "No quantity is over it for the prior" in section(made, title)
    strong = edited(made, "posterior", {"prior_sensitivity": 0.2, "likelihood_sensitivity": 0.01}, quantity="uptake")
    assert "the prior rather than the data decides uptake." in section(strong, title)
    both_ways = edited(strong, "posterior", {"prior_sensitivity": 0.06}, quantity="gap")
    assert "prior and data pull on gap, so that the prior moves what the data say;" in section(both_ways, title)


def test_predictive_checks_count_what_lies_outside_and_what_chance_gives():
    title = "Priors and model checks"
    told = section(bayesian(), title)
    assert "Of 4 arm means, 0 have P outside 0.025 to 0.975; chance alone would give at most about 0.2." in told
    assert "Of 24 item means, 1 has P outside 0.025 to 0.975; chance alone would give at most about 1.2." in told
    worst = table(bayesian(), title, "The 10 items farthest")
    assert (worst[0]["arm"], worst[0]["stage"], worst[0]["item"], worst[0]["P"]) == ("a1", "decision", "i2", "< 0.01")
    assert [row["outside"] for row in worst] == ["! outside", *["no"] * 9]
    assert len(table(bayesian(), title, "Whole arms")) == 4


def test_hidden_cells_are_neither_shown_nor_counted():
    hidden = {"observed": None, "p_value": None, "n": None, "note": "hidden"}
    made = edited(bayesian(), "predictive", hidden, item="i2")
    told = section(made, "Priors and model checks")
    assert "Of 20 item means, 0 have P outside" in told
    assert "i2" not in told
    assert all(row.label != "i2" for stage in prepare_predictive(made, "a1").stages for row in stage.rows)


def test_fits_are_compared_in_a_table():
    full, nested = table(bayesian(), "Priors and model checks", "How well models predict participants")
    assert (full["model"], full["log predictive density"], full["less than the best"]) == ("full", "\u2212512.3", "0.0")
    assert (nested["less than the best"], nested["its error"]) == ("\u221217.7", "6.1")
    assert nested["note"] == "2 of 80 participants weigh much"


# ---------------------------------------------------------------- both schools


def test_both_schools_stand_side_by_side_with_their_difference():
    made, title = both(), "Bayesian beside frequentist"
    rows = {row["quantity"]: row for row in table(made, title, "Points by both schools")}
    gap = made.row("gap", "a1")
    assert rows["gap"]["difference, points"] == f"{-100 * 0.1 * gap.estimate:.1f}".replace("-", "\u2212")
    assert rows["gap"]["ratio of widths"] == "0.90"
    assert f"Bayesian, with {CREDIBLE}" in rows["gap"]
    assert "item mix" not in rows
    assert "(shrinkage)" in section(made, title)
    assert "shrinks nothing" in section(both(chained=False), title)
    assert "frequentist plug-in, Bayesian bootstrap" in section(both(chained=False), title)


def test_one_school_alone_is_not_compared():
    for made in (frequentist(), bayesian()):
        assert section(made, "Bayesian beside frequentist") == ""
        assert not both_schools(made)


def test_other_intervals_of_the_plug_in_do_not_take_in_the_posterior():
    title = "The same estimates with other intervals"
    assert section(both(), title) == section(frequentist(), title) != ""


# ---------------------------------------------------------------- banner and methods


UNCONVERGED = CheckResult("convergence", "fail", "", "R-hat of gap in arm a1 is 1.35; 3 divergences.")


def test_a_sampler_that_has_not_converged_is_said_above_every_number():
    made = replace(bayesian(), checks=(UNCONVERGED,))
    text = markdown(made)
    told = "the sampler has not converged: R-hat of gap in arm a1 is 1.35; 3 divergences."
    assert text.index("the sampler has not converged**") < text.index(told) < text.index("a gap of")
    console = str(made)
    assert console.index("DO NOT RELY ON THIS POSTERIOR") < console.index("accuracy %")
    assert "the sampler has not converged. R-hat of gap in arm a1 is 1.35" in console
    assert console.count("R-hat of gap") == 1


def test_other_failed_checks_keep_their_own_words_in_the_banner():
    failed = CheckResult("declared_margins", "fail", "", "Rows under X give 0.3400.")
    text = markdown(replace(bayesian(), checks=(failed,)))
    assert "has not converged" not in text
    assert "declared margins: Rows under X give 0.3400." in text


def test_methods_say_what_was_fitted_and_drawn():
    told = section(bayesian(), "Methods")
    assert "One model of all stages" in told
    assert "item sd 0.5 (half-normal; default 1.5)" in told
    assert "Drawn by pymc NUTS (pymc 6.4.0): 4 chains of 1,000 draws after 1,500 tuning steps, seed 7." in told
    assert "Fieller" not in told
    for doi in ("10.1016/j.jmva.2009.04.008", "10.1214/20-BA1221", "10.1007/s11222-023-10366-5"):
        assert doi in told
    boot = section(bayesian(chained=False), "Methods")
    assert "flat Dirichlet distribution" in boot
    assert "Method: Bayesian, bootstrap." in boot
    assert "Drawn by dirichlet weights: 10,000 independent draws, seed 7." in boot
    assert "10.1214/aos/1176345338" in boot
    assert "10.1214/20-BA1221" not in boot
    mixed = section(both(), "Methods")
    assert "Covariance cluster: Answers of one participant count as one cluster" in mixed
    assert "One model of all stages" in mixed


# ---------------------------------------------------------------- console


def test_the_console_calls_credible_intervals_by_their_name():
    text = str(bayesian())
    assert "bayesian hierarchical\n" in text
    assert text.count("95 % credible interval") == 3
    assert "covariance" not in text
    assert "95 % interval" in str(both())
    assert re.search(r"a1 +task_minus_outcome .* > 0\.99 ", str(both()))


# ---------------------------------------------------------------- hostile text


def test_hostile_text_of_a_posterior_is_text(result):
    hostile = replace(
        result,
        posterior=tuple(replace(row, note=HOSTILE) for row in result.posterior),
        priors=(PriorRow(HOSTILE, 1.0, 2.0, HOSTILE, HOSTILE),),
        predictive=tuple(
            replace(row, item=f"{row.item}{HOSTILE}" if row.item else "", note=HOSTILE) for row in result.predictive
        ),
        fits=(FitRow(HOSTILE, -1.0, 1.0, 1.0, 0.0, 0.0, HOSTILE, 0, HOSTILE),),
        checks=(replace(UNCONVERGED, detail=HOSTILE),),
    )
    html = render_html([NamedResult("one", hostile)])
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "\x00" not in html
    assert "<script" not in render_markdown([NamedResult("one", hostile)])


# ---------------------------------------------------------------- figures


def test_the_figure_of_the_posterior_holds_prior_posterior_and_plug_in():
    data = prepare_posterior(both())
    assert [(one.quantity, one.kind) for one in data.marks][-1] == ("gap", "gap")
    assert [one.family for one in data.marks] == ["task", "task", "outcome", "task", "outcome", ""]
    gap, row = data.marks[-1], both().row("gap", "a1")
    assert (gap.prior_lower, gap.prior_upper) == (-48.0, 52.0)
    assert gap.plug_in == 100 * row.estimate
    assert gap.mean == pytest.approx(90 * row.estimate)
    assert all(one.plug_in is None for one in prepare_posterior(bayesian()).marks)
    assert "above zero with probability 0.71" in data.title
    assert "before any data \u221248.0 to 52.0" in data.description


def test_the_figure_of_predictive_checks_marks_what_lies_outside():
    made = bayesian()
    assert predictive_arms(made) == ("a1", "control")
    data = prepare_predictive(made, "a1")
    assert data.title == "Does the model fit? 1 of 21 means outside what is predicted"
    assert [(stage.stage, row.label) for stage in data.stages for row in stage.rows if row.outside] == [
        ("decision", "i2")
    ]
    assert prepare_predictive(made, "control").title == "Does the model fit? Every mean as predicted"
    assert data.stages[0].rows[0].label == "all answers"


def test_of_many_items_the_figure_keeps_those_farthest_from_what_is_predicted():
    made = replace(bayesian(), predictive=tuple(predictive_rows(("a1",), items=60)))
    stage = prepare_predictive(made, "a1").stages[-1]
    assert (len(stage.rows), stage.left_out) == (31, 30)
    assert "i2" in [row.label for row in stage.rows]


def test_the_figure_of_both_schools_holds_an_entry_of_each():
    data = prepare_schools(both())
    assert [row.quantity for row in data.rows] == ["own_query", "conversation", "decision", "task", "outcome", "gap"]
    assert all(len(row.entries) == 2 for row in data.rows)
    assert data.estimands[0].startswith("frequentist, plug-in")
    assert data.estimands[1].startswith("Bayesian, hierarchical")


@pytest.mark.parametrize("draw", [posterior, schools, lambda made: predictive(made, "a1")])
def test_figures_are_whole_and_the_same_each_time(draw):
    before = dict(mpl.rcParams)
    first, second = svg(draw(both())), svg(draw(both()))
    assert first == second
    xml.dom.minidom.parseString(first)  # noqa: S318 - our own drawing
    assert 'role="img"' in first
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    "change",
    [
        {"prior_lower": None, "prior_upper": None},
        {"lower": None, "upper": None},
        {"mean": None, "note": HOSTILE},
        {"lower": -3.0, "upper": 3.0},
        {"prob_positive": None},
    ],
    ids=["no prior", "no interval", "no estimate", "far out", "no probability"],
)
def test_the_figure_of_the_posterior_stands_up_to_odd_rows(change):
    for quantity in ("gap", "decision"):
        made = edited(both(), "posterior", change, quantity=quantity)
        drawing = svg(posterior(made))
        xml.dom.minidom.parseString(drawing)  # noqa: S318 - our own drawing
        assert "<script" not in drawing


def test_arms_without_rows_are_refused_by_name():
    for call in (prepare_posterior, prepare_predictive, prepare_schools):
        with pytest.raises(KeyError, match="nowhere"):
            call(both(), "nowhere")


def test_every_arm_gets_its_figures():
    made = both(("a1", "a2"))
    blocks = [one for part in chapter(NamedResult("one", made)).sections for one in part.blocks]
    names = [one.name for one in blocks if one.kind == "picture"]
    assert [name for name in names if name.startswith("posterior")] == [
        "posterior-0-all",
        "posterior-1-a1",
        "posterior-2-a2",
    ]
    assert [name for name in names if name.startswith("predictive")] == [
        "predictive-0-a1",
        "predictive-1-a2",
        "predictive-2-control",
    ]
    assert len(names) == len(set(names))
