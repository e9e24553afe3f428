"""The report: what it says is what the result holds, whatever text the result carries."""

import json
import re
import warnings
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.records import AssumptionRow, AttritionRow, CheckResult, MarginRow, ShareRow
from rctgap.report import NamedResult, render_html, render_markdown, write_report
from rctgap.report.headline import headline
from rctgap.report.methods import manifest_section
from rctgap.report.quantities import share_set
from rctgap.report.words import figure, signed, slug

MINUS, BLANK = "\u2212", "\u2013"
HOSTILE = "<script>alert('x')</script> \"q\" <img src=x onerror=alert(1)> {{ 7 * 7 }} \x00\n| `a` " + "long" * 60
VOID = {"meta", "link", "br", "img", "hr"}


class Page(HTMLParser):
    """A page taken apart: tags balanced or not, headings, references, cells of tables, text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.faults, self.levels, self.ids = [], [], [], []
        self.tags, self.loads, self.links, self.tables, self.words = set(), [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.add(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.loads += [value for key, value in attrs if key in ("src", "srcset", "data", "action", "poster")]
        self.loads += [values["href"]] if tag in ("link", "use", "image") and "href" in values else []
        self.links += [values["href"]] if tag == "a" else []
        self.faults += [f"handler {key}" for key in values if key.startswith("on")]
        if tag in ("h1", "h2", "h3", "h4"):
            self.levels.append(int(tag[1]))
        if tag == "table":
            self.tables.append({"caption": "", "rows": []})
        elif tag == "tr":
            self.tables[-1]["rows"].append([])
        elif tag in ("td", "th"):
            self.tables[-1]["rows"][-1].append("")
            if tag == "th" and values.get("scope") not in ("row", "col"):
                self.faults.append("a heading cell without scope")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)
        if "table" in self.open:
            if "caption" in self.open:
                self.tables[-1]["caption"] += data
            elif {"td", "th"} & set(self.open):
                self.tables[-1]["rows"][-1][-1] += data

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def rows(self, caption):
        """The body of the table whose caption opens so, one mapping of heading to cell each."""
        table = next(one for one in self.tables if one["caption"].startswith(caption))
        head, *body = table["rows"]
        return [dict(zip(head, row, strict=True)) for row in body]


def squeezed(text):
    return " ".join("".join(one if one.isprintable() or one.isspace() else "\ufffd" for one in text).split())


def frame_of(arms):
    random = np.random.default_rng(7)
    rows = []
    for arm in arms:
        for person in range(60):
            for item in random.choice(6, 2, replace=False):
                said, decided = random.random() < 0.6, random.random() < 0.4
                given = {"conversation": None if arm == "control" else int(said), "decision": int(decided)}
                rows.append({"arm": arm, "participant": f"{arm}-{person}", "item": f"i{item}", **given})
    return pd.DataFrame(rows)


def decomposed(arms=("a1",), control="control", title="A trial", card=None):
    labels = [*arms, *([control] if control else [])]
    runs = pd.DataFrame(
        [{"system": arm, "item": f"i{i % 6}", "benchmark": int(i < 54)} for arm in arms for i in range(60)]
    )
    stages = (rg.Stage("benchmark", source="benchmark"), rg.Stage("conversation"), rg.Stage("decision"))
    steps = (
        rg.Transition("conversation", "task", ("task.interaction_type",)),
        rg.Transition("decision", "outcome", ("outcome.decision_mediation",)),
    )
    design = rg.Design(control=control, ai=list(arms))
    scores = rg.score_stages(rg.read_trial(frame_of(labels), benchmark=runs, design=design), rg.Chain(stages, steps))
    estimand = rg.Estimand(items="fixed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RctgapWarning)
        return rg.decompose(rg.estimate_frequentist(scores, estimand), estimand, card, title=title)


@pytest.fixture(scope="module")
def result():
    made = decomposed()
    checks = (
        CheckResult("same_system", "pass", "", "Every stage is of a1."),
        CheckResult("declared_margins", "fail", "task.interaction_type", "Rows under X give 0.3400."),
        CheckResult("balance", "not_applicable", "", "No covariate."),
        CheckResult("clustering", "warning", "", "Answers could not be tied."),
    )
    margins = (
        MarginRow("arm = X", "i1", "decision", "0.345", "0.3400", False, "Y", "3 of 3 are met", "Table 2"),
        MarginRow("arm = Z", "", "decision", "0.470", "0.4700", True, "", "", "Table 2"),
    )
    systems = (replace(made.systems[0], borrowed_from="a9", because="masked"), *made.systems[1:])
    return replace(made, checks=checks, margins=margins, systems=systems, warnings=("Read with care.", "And this."))


@pytest.fixture(scope="module")
def html(result):
    return render_html([NamedResult("one", result, {"seed": 7, "versions": {"rctgap": "0.1.0"}, "argv": ["a", "b"]})])


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def whole(page):
    """What must hold of every page."""
    assert (page.faults, page.open) == ([], [])
    assert not {"script", "iframe", "object", "embed", "form", "img"} & page.tags
    assert [one for one in page.loads if not one.startswith(("data:,", "#"))] == []
    assert [
        one
        for one in page.links
        if not one.startswith(("#", "https://doi.org/", "https://arxiv.org/abs/")) and not sibling(one)
    ] == []
    assert len(page.ids) == len(set(page.ids))
    assert page.levels[0] == 1
    assert page.levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(page.levels, page.levels[1:], strict=False))
    assert all(table["caption"] for table in page.tables)


def sibling(link):
    """The whole report of one of several results, in a folder beside the page."""
    return re.fullmatch(r"[a-z0-9-]+/report\.html", link) is not None


def span(row):
    return f"{figure(row.lower)} to {figure(row.upper)}"


# ---------------------------------------------------------------- the page as a page


def test_the_page_is_whole_and_needs_nothing_else(html, page):
    whole(page)
    assert html.lstrip().startswith("<!doctype html>")
    assert '<html lang="en">' in html
    assert 'name="viewport"' in html
    assert "@media print" in html
    assert "@import" not in html
    assert "url(http" not in html


def test_the_same_result_gives_the_same_page(result, html):
    manifest = {"seed": 7, "versions": {"rctgap": "0.1.0"}, "argv": ["a", "b"]}
    assert render_html([NamedResult("one", result, manifest)]) == html


def test_hostile_text_is_text(result):
    row = AssumptionRow(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, None, None, None, HOSTILE)
    hostile = replace(
        result,
        title=HOSTILE,
        warnings=(HOSTILE,),
        notes=(HOSTILE,),
        checks=(CheckResult(HOSTILE, "fail", HOSTILE, HOSTILE),),
        margins=(MarginRow(*[HOSTILE] * 5, False, *[HOSTILE] * 3),),
        attrition=(AttritionRow(HOSTILE, HOSTILE, 1, 1, HOSTILE),),
        assumptions=(row,),
        systems=tuple(replace(one, found=(HOSTILE,), instrument=((HOSTILE, HOSTILE),)) for one in result.systems),
    )
    named = NamedResult(HOSTILE, hostile, {HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]})
    for rendered in (render_html([named]), render_html([named, named])):
        page = Page(rendered)
        whole(page)
        assert "{{ 7 * 7 }}" in page.text
        assert "<img src=x onerror=alert(1)>" in page.text
        assert "\x00" not in rendered
    text = render_markdown([named])
    assert "<script" not in text
    assert "<img" not in text
    assert not [line for line in text.splitlines() if line.startswith("`")]


def test_a_hostile_arm_is_text():
    page = Page(render_html([NamedResult("x", decomposed(arms=(HOSTILE, "a2"), control=None))]))
    whole(page)
    assert "<script>alert('x')</script>" in page.text


# ---------------------------------------------------------------- what it says


def test_the_headline_has_the_numbers_of_the_rows(result, page):
    gap, task, outcome = (result.row(name, "a1") for name in ("gap", "task", "outcome"))
    said = headline(result, "a1")
    assert f"a gap of {figure(gap.estimate)} points ({span(gap)})" in said
    assert f"of which task {figure(task.estimate)} ({span(task)})" in said
    assert f"and outcome {figure(outcome.estimate)} ({span(outcome)})." in said
    assert said.startswith("Benchmark 90.0 % (")
    assert said in page.text
    assert "Brackets hold 95 % intervals (t); items fixed, item weights observed, covariance cluster." in page.text


def test_the_tables_have_the_numbers_of_the_rows(result, page):
    parts = {row["quantity"]: row for row in page.rows("Points lost at each step")}
    for row in result.main():
        if row.arm == "a1" and row.kind in ("component", "family", "gap"):
            shown = parts[row.quantity.replace("_", " ")]
            assert (shown["points"], shown["95 % interval"]) == (figure(row.estimate), span(row))
            assert shown["clusters"] == f"{row.clusters:,}"
    effects = {row["effect"]: row for row in page.rows("Difference from the control arm")}
    realized = result.row("realized_effect", "a1")
    assert effects["realized"]["points"] == signed(realized.estimate)
    ratios = {row["ratio"]: row for row in page.rows("The realized effect as ratios")}
    expected = next(row for row in result.effects if (row.arm, row.quantity) == ("a1", "odds_ratio"))
    assert ratios["odds ratio"]["estimate"] == f"{expected.estimate:.2f}"
    stages = {(row["arm"], row["stage"]): row for row in page.rows("Share of right answers")}
    control = next(row for row in result.stages if row.arm == "control")
    assert stages["control", "decision"]["right, %"] == figure(control.estimate)


def test_the_other_estimands_stand_beside(result, page):
    beside = {row["quantity"]: row for row in page.rows("The same under each estimand")}
    other = next(
        row
        for row in result.components
        if (row.arm, row.quantity, row.items, row.item_weights) == ("a1", "gap", "random", "observed")
    )
    assert beside["gap"]["items random, observed weights"] == f"{figure(other.estimate)} ({span(other)})"


def test_flows_and_uptake_are_counted(result, page):
    flow = {row["step"]: row for row in page.rows("Right answers lost")}
    row = result.row("decision", "a1")
    shown = flow["conversation to decision"]
    assert (shown["lost"], shown["put right"]) == (str(row.lost_count), str(row.gained_count))
    assert flow["benchmark to conversation"]["lost"] == BLANK
    assert "not paired" in flow["benchmark to conversation"]["note"]
    uptake = page.rows("Right final answers")[0]
    assert uptake["%"] == figure(result.row("uptake", "a1").estimate)


def test_every_warning_note_and_finding_appears(result, page):
    for told in (*result.warnings, *result.notes, *(check.detail for check in result.checks)):
        assert squeezed(told) in page.text
    statuses = {row["check"]: row["status"] for row in page.rows("Checks that")}
    assert statuses == {
        "same system": "✓ pass",
        "declared margins": "✗ fail",
        "balance": f"{BLANK} not applicable",
        "clustering": "! warning",
    }


def test_published_figures_stand_beside_those_found(page):
    first, second = page.rows("Published figures")
    assert (first["published"], first["found"], first["agrees"]) == ("0.345", "0.3400", "✗ no")
    assert (first["label that fits better"], second["agrees"]) == ("Y", "✓ yes")
    assert "The rows under arm = X fit the label Y better: 3 of 3 are met." in page.text


def test_a_loan_and_its_reason_are_shown(page):
    assert page.rows("Which system")[0]["borrowed from"] == "a9: masked"


def test_a_forbidding_check_puts_a_banner_first(result):
    failed = replace(result, checks=(CheckResult("same_system", "fail", "", "Two systems."),))
    text = Page(render_html([NamedResult("x", failed)])).text
    assert text.index("This result is not final") < text.index("same system: Two systems.") < text.index("a gap of")
    consented = replace(failed, settings=replace(failed.settings, allow_mixed_systems=True))
    assert "Final by consent, with a failed check" in Page(render_html([NamedResult("x", consented)])).text


def test_a_final_result_has_no_banner(page):
    assert "not final" not in page.text


def test_without_control_the_report_says_why_there_is_no_effect():
    page = Page(render_html([NamedResult("x", decomposed(control=None))]))
    whole(page)
    assert "There is no control arm to compare with" in page.text
    assert page.rows("Difference from the control arm")[0]["points"] == BLANK


def test_several_arms_are_told_apart():
    page = Page(render_html([NamedResult("x", decomposed(arms=("a1", "a2")))]))
    whole(page)
    assert {row["arm"] for row in page.rows("Points lost at each step")} == {"all 2 AI arms", "a1", "a2"}
    assert "the AI arms count equally" in page.text


def test_methods_follow_the_settings(page):
    assert "Answers of one participant count as one cluster" in page.text
    assert "CR2 is the bias-reduced (Bell-McCaffrey) covariance" in page.text
    for doi in ("10.3368/jhr.50.2.317", "10.1080/07350015.2016.1247004", "10.1111/j.2517-6161.1954.tb00159.x"):
        assert f"https://doi.org/{doi}" in page.links
    assert "https://arxiv.org/abs/2605.22612" in page.links


def test_the_manifest_is_laid_flat():
    table = manifest_section({"a": {"b": 1, "c": None}, "d": [{"e": "f"}], "g": ["h", "i"]}).blocks[0]
    assert table.rows == (("a.b", "1"), ("d.1.e", "f"), ("g", "h i"))
    assert manifest_section({}) is None


@pytest.mark.parametrize(
    ("kind", "lower", "upper", "text"),
    [
        ("bounded", -0.021, 1.104, f"{MINUS}2.1 to 110.4"),
        ("exclusive", 2.4, -0.12, f"all values up to {MINUS}12.0, and all from 240.0 on"),
        ("unbounded", None, None, "any value: the data do not bound this share"),
        ("", None, None, BLANK),
    ],
)
def test_a_share_is_worded_as_the_set_it_is(kind, lower, upper, text):
    assert share_set(ShareRow("a", "q", None, "fieller", kind, lower, upper, 0.95, "gap", "fixed", "observed")) == text


@pytest.mark.parametrize(
    ("value", "text"), [(-0.13, f"{MINUS}13.0"), (0.30501, "30.5"), (-0.0004, "0.0"), (None, BLANK)], ids=str
)
def test_figures_have_one_decimal_and_a_true_minus(value, text):
    assert figure(value) == text


def test_a_slug_is_fit_for_a_file():
    assert slug("../Command R+ <x>") == "command-r-x"


# ---------------------------------------------------------------- Markdown and files


def test_the_markdown_says_the_same(result):
    text = render_markdown([NamedResult("one", result)])
    assert text.startswith("# A trial\n")
    assert f"**{headline(result, 'a1')}**" in text
    for told in (*result.warnings, "## Shares of the gap", "## Assumptions", "## Methods", "| declared margins |"):
        assert told in text
    assert "![" in text


def test_a_result_folder_gets_its_report(result, tmp_path):
    rg.save(result, tmp_path / "one")
    (tmp_path / "one" / "manifest.json").write_text(json.dumps({"seed": 20260522}))
    written = write_report(tmp_path / "one")
    names = ["report.html", "report.md", "figures/ladder.svg", "figures/forest.svg", "figures/flows.svg"]
    names.append("figures/bias_curve.svg")
    assert [path.relative_to(tmp_path / "one").as_posix() for path in written] == names
    page = Page(written[0].read_text(encoding="utf-8"))
    whole(page)
    assert "20260522" in page.text
    assert headline(result, "a1") in page.text


def test_a_folder_of_results_gets_one_report_and_each_its_own(result, tmp_path):
    rg.save(result, tmp_path / "b")
    rg.save(decomposed(arms=("a1", "a2"), title="Two arms"), tmp_path / "a")
    index = {"results": ["b", "a"], "skipped": {"c": "its rows are not embedded"}}
    (tmp_path / "index.json").write_text(json.dumps(index))
    written = write_report(str(tmp_path))
    assert [path.parent.name for path in written if path.name == "report.html"] == [tmp_path.name, "b", "a"]
    page = Page(written[0].read_text(encoding="utf-8"))
    whole(page)
    assert [row["result"] for row in page.rows("The results side by side")] == ["b", "a", "a", "a"]
    gap = result.row("gap", "a1")
    assert page.rows("The results side by side")[0]["gap"] == f"{figure(gap.estimate)} ({span(gap)})"
    assert "c was left out: its rows are not embedded" in page.text


def test_old_figures_do_not_stay(result, tmp_path):
    rg.save(result, tmp_path / "one")
    old = tmp_path / "one" / "figures" / "ladder-9-gone.svg"
    old.parent.mkdir()
    old.write_text("<svg/>")
    write_report(tmp_path / "one")
    assert not old.exists()


def test_a_folder_without_result_is_refused(tmp_path):
    with pytest.raises(rg.RctgapError, match="no result here"):
        write_report(tmp_path)
