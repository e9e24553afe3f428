"""docs/bayesian.md against the code: priors, keys and their defaults, thresholds, the plug-in beside the posterior."""

from pathlib import Path

import pytest

import rctgap as rg
from rctgap import bayesian, criticism
from rctgap.analysis_file import Bayesian
from rctgap.bayesian import BayesianPlan
from rctgap.bootstrap import ENOUGH_ITEMS
from rctgap.checks.agreement import RATIO, WITHIN_SPREAD
from rctgap.checks.convergence import FEWEST_EFFECTIVE, HIGHEST_R_HAT, LOWEST_EBFMI
from rctgap.datasets import folder
from rctgap.models.priors import Priors
from rctgap.models.sampling import CAREFUL, Options

PAGE = (Path(__file__).parents[2] / "docs" / "bayesian.md").read_text(encoding="utf-8")


def section(heading):
    """Text under a heading, up to the next of its level."""
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def told(heading):
    return " ".join(section(heading).split())


def table(heading):
    """Cells of the first table under a heading, without its two header rows."""
    rows = [row for row in section(heading).splitlines() if row.startswith("|")]
    return [tuple(cell.strip() for cell in row.strip("|").split(" | ")) for row in rows[2:]]


def written(row):
    return f"{100 * row.estimate:.1f} ({100 * row.lower:.1f} to {100 * row.upper:.1f})"


def test_priors_are_those_of_the_code():
    assert table("Priors") == [
        (f"`{name}`", f"{default:g}", distribution, meaning)
        for name, _, default, distribution, meaning in Priors().describe()
    ]


def test_keys_are_those_of_the_form():
    assert sorted(row[0].strip("`") for row in table("Get a posterior")) == sorted(Bayesian.model_fields)


def test_the_defaults_that_the_plan_knows_are_those_of_the_page():
    given = {row[0].strip("`"): row[1].strip("`") for row in table("Get a posterior")}
    plain = BayesianPlan()
    assert (given["model"], given["level"], given["interval"]) == (plain.model, f"{plain.level:g}", plain.interval)


def test_the_chains_of_the_page_are_those_of_the_sampler():
    given = {row[0].strip("`"): row[1].strip("`") for row in table("Get a posterior")}
    plain = Options()
    assert (given["draws"], given["tune"], given["chains"], given["sampler"]) == (
        str(plain.draws),
        str(plain.tune),
        str(plain.chains),
        plain.sampler,
    )
    assert f"target acceptance of {CAREFUL:g} in place of {plain.target_accept:g}" in told(
        "When a posterior is not final"
    )


@pytest.mark.parametrize(
    ("heading", "text"),
    [
        ("Get a posterior", f"at least {bayesian.FEWEST_DRAWS}"),
        ("Get a posterior", f"at least {bayesian.FEWEST_CHAINS}"),
        ("When a posterior is not final", f"R-hat must be at most {HIGHEST_R_HAT:g}"),
        ("When a posterior is not final", f"at least {FEWEST_EFFECTIVE:.0f}"),
        ("When a posterior is not final", f"E-BFMI must be {LOWEST_EBFMI:g} or more"),
        ("Criticism", f"under {criticism.TAIL:g} or over {1 - criticism.TAIL:g}"),
        ("Criticism", f"Above {criticism.SENSITIVE:g} for the prior"),
        ("What shrinkage does", f"more than {WITHIN_SPREAD:g} posterior standard deviations"),
        ("What shrinkage does", f"outside {RATIO[0]:g} to {RATIO[1]:g}"),
        ("The Bayesian bootstrap", f"(under {ENOUGH_ITEMS}:"),
    ],
)
def test_thresholds_are_those_of_the_code(heading, text):
    assert text in told(heading)


def test_the_plug_in_beside_the_posterior_is_the_one_that_is_computed():
    result = rg.run_analysis(folder("raman2026") / "as-published.yaml")
    found = {
        (row.quantity, row.items, row.item_weights): written(row)
        for row in result.components
        if row.arm == "GPT-4o" and row.lower is not None
    }
    shown = table("The case study, both ways")
    assert len(shown) == 15
    assert [plug_in for *_, plug_in, _ in shown] == [
        found[name.strip("`"), items, mix] for name, items, mix, *_ in shown
    ]


def test_posterior_means_of_the_case_study_add_up():
    means = {(row[0].strip("`"), *row[1:3]): float(row[4].split()[0]) for row in table("The case study, both ways")}
    for estimand in {key[1:] for key in means}:
        parts = sum(means[name, *estimand] for name in ("own_query", "conversation", "decision"))
        assert parts == pytest.approx(means["gap", *estimand], abs=0.2)
