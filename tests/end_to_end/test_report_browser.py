"""The report in a browser: nothing sticks out on a phone, nothing is complained about."""

import re
import shutil
import subprocess
import warnings
from dataclasses import replace

import pandas as pd
import pytest

import rctgap as rg
from rctgap.records import CheckResult
from rctgap.report import NamedResult, render_html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=4000",
)
PHONE, DESKTOP = 390, 1200
LONG = "An-arm-label-without-a-single-place-to-break-it-" * 4
MEASURE = """<script>addEventListener("load", () => {
  const page = document.documentElement;
  const clipped = (one) => one.closest(".scroll, svg");
  const out = [...document.body.querySelectorAll("*")].filter(
    (one) => !clipped(one) && !one.matches(".skip") && one.getBoundingClientRect().right > page.clientWidth + 1);
  parent.postMessage([page.clientWidth, page.scrollWidth, out.length].join(" "), "*");
});</script>"""
FRAME = """<!doctype html><html lang="en"><head><title>frame</title><link rel="icon" href="data:,"></head><body>
<script>addEventListener("message", (told) => { document.body.dataset.told = told.data; });</script>
<iframe src="measured.html" style="width:WIDTHpx;height:900px;border:0"></iframe></body></html>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def looked_at(html, width, folder):
    """Width of the page's window, width of its content, elements that stick out, console messages."""
    (folder / "measured.html").write_text(html.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    (folder / "frame.html").write_text(FRAME.replace("WIDTH", str(width)), encoding="utf-8")
    profile = folder / "profile"
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", (folder / "frame.html").as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    told = re.search(r'data-told="(\d+) (\d+) (\d+)"', run.stdout)
    assert told, run.stderr[-2000:]
    console = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    return *map(int, told.groups()), console


def decomposed(arms):
    pattern = {"conversation": [1, 1, 0, 0], "decision": [1, 0, 1, 0], "count": [150, 200, 40, 110]}
    frame = pd.concat([pd.DataFrame({"arm": arm, **pattern}) for arm in arms])
    control = pd.DataFrame({"arm": "control", "decision": [1, 0], "count": [240, 260]})
    trial = rg.read_trial(pd.concat([frame, control]), design=rg.Design(control="control", ai=arms))
    stages = (rg.Stage("conversation"), rg.Stage("decision"))
    step = rg.Transition("decision", "outcome", ("outcome.decision_mediation",))
    scores = rg.score_stages(trial, rg.Chain(stages, (step,)))
    estimand = rg.Estimand(items="fixed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RctgapWarning)
        return rg.decompose(rg.estimate_frequentist(scores, estimand), estimand, title=LONG)


@pytest.fixture(scope="module")
def pages():
    one = NamedResult("one", decomposed(["a1"]), {"inputs": ["0123456789abcdef" * 8]})
    failed = (CheckResult("same_system", "fail", "", LONG),)
    two = NamedResult("two", replace(decomposed(["a2", LONG]), checks=failed, warnings=(LONG,)))
    return {"one": render_html([one]), "several": render_html([one, two])}


@pytest.mark.parametrize("name", ["one", "several"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_nothing_sticks_out_and_nothing_is_complained_about(name, width, pages, tmp_path):
    window, content, outside, console = looked_at(pages[name], width, tmp_path)
    assert window >= width - 20
    assert content <= window
    assert outside == 0
    assert console == []


def test_the_measurement_can_fail(tmp_path):
    wide = (
        '<!doctype html><html lang="en"><body><p style="width:900px">wide</p>'
        '<script>console.error("seen")</script></body></html>'
    )
    window, content, outside, console = looked_at(wide, PHONE, tmp_path)
    assert content > window
    assert outside >= 1
    assert any("seen" in line for line in console)
