"""Published figures against the data: rounding, counts alone, and the label that fits better."""

import json

import pandas as pd
import pytest

import rctgap as rg


def dictionary(margins):
    fields = [
        {"name": "arm", "role": "arm"},
        {"name": "item", "role": "item"},
        {"name": "count", "role": "count", "type": "integer"},
        {"name": "conversation", "role": "score", "type": "integer"},
        {"name": "decision", "role": "score", "type": "integer"},
    ]
    return {"schema": "rctgap/dictionary/1", "tables": {"trial": {"fields": fields, "margins": margins}}}


def frame(**right):
    """100 answers an arm, half an item, with so many decisions right."""
    rows = []
    for arm, (one, two) in right.items():
        for item, hits in (("s1", one), ("s2", two)):
            rows += [(arm, item, hits, 1, 1), (arm, item, 50 - hits, 1, 0)]
    return pd.DataFrame(rows, columns=["arm", "item", "count", "conversation", "decision"])


def margins_of(data, margins, ai=("a1",)):
    return rg.read_trial(data, design=rg.Design(None, list(ai)), dictionary=dictionary(margins)).margins


def margin(arm="a1", **figures):
    item = figures.pop("item", None)
    where = {"arm": arm} | ({"item": item} if item else {})
    return {"where": where, "column": "decision", **figures}


@pytest.mark.parametrize(
    ("value", "decimals", "agrees"),
    [(0.33, 2, True), (0.3, 1, True), (0.325, 3, True), (0.32, 2, True), (0.34, 2, False), (0.324, 3, False)],
)
def test_a_value_agrees_within_half_of_its_last_printed_digit(value, decimals, agrees):
    (found,) = margins_of(frame(a1=(15, 15)).assign(count=[15, 35, 15, 35]), [margin(value=0.3, decimals=1)])
    assert found.agrees
    data = frame(a1=(15, 15))
    data["count"] = [26, 54, 39, 81]  # 65 of 200 = 0.325
    (found,) = margins_of(data, [margin(value=value, decimals=decimals)])
    assert found.agrees is agrees
    assert found.counts == pytest.approx((200, 65, 135))


@pytest.mark.parametrize(("n", "agrees"), [(100, True), (99, False)])
def test_a_count_alone_is_compared_as_a_count(n, agrees):
    (found,) = margins_of(frame(a1=(20, 30)), [{"where": {"arm": "a1"}, "n": n}])
    assert (found.agrees, found.declared, found.found, found.counts) == (agrees, f"n = {n}", "n = 100", (100.0,))


def test_rows_without_the_score_do_not_count():
    data = frame(a1=(20, 30))
    data.loc[0, "decision"] = None
    (found,) = margins_of(data, [margin(n=80, value=0.375, decimals=3)])
    assert found.agrees


def test_a_swap_of_labels_is_named():
    declared = [
        margin("a1", value=0.5, decimals=2, n=100),
        margin("a1", item="s1", value=0.6, decimals=2),
        margin("a2", value=0.2, decimals=2, n=100),
        margin("a2", item="s1", value=0.1, decimals=2),
    ]
    found = margins_of(frame(a1=(5, 15), a2=(30, 20)), declared, ("a1", "a2"))
    assert [one.agrees for one in found] == [False] * 4
    assert {dict(one.label)["arm"]: one.fits for one in found} == {"a1": "a2", "a2": "a1"}
    assert found[0].fit_detail.startswith("2 of 2 of its margins are met, against 0 of 2")


def test_a_label_that_fits_no_better_is_not_named():
    declared = [margin("a1", value=0.5, decimals=2), margin("a2", value=0.9, decimals=2)]
    found = margins_of(frame(a1=(5, 15), a2=(30, 20)), declared, ("a1", "a2"))
    one = next(one for one in found if dict(one.label)["arm"] == "a1")
    assert (one.agrees, one.fits) == (False, "")


def test_figures_that_agree_name_no_other_label():
    declared = [margin("a1", value=0.2, decimals=2), margin("a2", value=0.2, decimals=2)]
    found = margins_of(frame(a1=(5, 15), a2=(5, 15)), declared, ("a1", "a2"))
    assert [(one.agrees, one.fits, one.fit_detail) for one in found] == [(True, "", "")] * 2


def test_margins_of_a_label_without_rows_are_candidates_only():
    declared = [margin("a1", value=0.5, decimals=2), margin("lost arm", value=0.2, decimals=2)]
    (found,) = margins_of(frame(a1=(5, 15)), declared)
    assert found.fits == "lost arm"


def test_margins_are_compared_before_rows_are_excluded():
    rule = rg.Exclusion({"item": "s2"}, "broken")
    known = dictionary([margin(n=100, value=0.2, decimals=1)])
    trial = rg.read_trial(frame(a1=(5, 15)), design=rg.Design(None, ["a1"]), dictionary=known, exclude=[rule])
    assert trial.margins[0].agrees
    assert trial.answers["count"].sum() == 50


def test_a_published_item_that_the_data_lack_can_be_saved(study, tmp_path):
    stages = [rg.Stage("conversation"), rg.Stage("decision")]
    known = dictionary([margin(item="s9", value=0.5, decimals=1), margin(n=100)])
    result = study.decomposed(frame(a1=(20, 30)), design=rg.Design(None, ["a1"]), stages=stages, dictionary=known)
    rg.save(result, tmp_path / "out")
    text = (tmp_path / "out" / "result.json").read_text()
    row = json.loads(text)["margins"][0]
    assert (row["agrees"], row["found"]) == (False, "no row")


@pytest.mark.parametrize(("value", "agrees"), [(0.32, True), (0.33, False)])
def test_just_beyond_half_a_digit_does_not_agree(value, agrees):
    data = frame(a1=(15, 15))
    data["count"] = [300, 700, 349, 651]  # 649 of 2000 = 0.3245
    (found,) = margins_of(data, [margin(value=value, decimals=2)])
    assert found.agrees is agrees
