"""Evidence in a card: carried in its notes, read back strictly, and nothing else of the card changed."""

import hashlib
import json
import os
import re
import stat
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

import rctgap as rg
from rctgap.card_evidence import AssumptionEvidence, DeploymentEvidence, joined, split_notes
from rctgap.card_rendering import card_html, card_markdown, describe_card, describe_evidence
from rctgap.card_results import evidence_from
from rctgap.card_writing import card_of_result, replace_file, with_evidence
from rctgap.cards import check_card, read_card
from rctgap.cli import main
from rctgap.deployment_evidence import evidence_of
from rctgap.errors import CardError, OutputError
from rctgap.records import AssumptionRow

QUERY, COMPLETE, TURNS = "task.query_authorship", "task.information_completeness", "task.interaction_type"
VIOLATED = AssumptionEvidence(
    QUERY, "violated", -0.118333, -0.147834, -0.088832, 0.9, 0.05, (COMPLETE,), "items random: inconclusive"
)
UNTESTED = AssumptionEvidence(TURNS, "untested", evidence="no transition of this analysis bears on it")
TRIAL = DeploymentEvidence(
    "Trial A: walk-in patients", "items fixed", True, "Spring 2025", "a" * 64, "b" * 64, "0.1.0", (VIOLATED, UNTESTED)
)
OTHER = replace(
    TRIAL, deployment="Trial B", final=False, data_date="", assumptions=(replace(VIOLATED, status="holds"),)
)

TASK_FORM = """\
# A comment over everything

benchmark_name: "Rash quiz"   # the short name
citation: 'it''s doe2026'
version: 2026-5-1
intended_use_case:
  answer: Naming a rash: said plainly
  deployment_context: >-
    Walk-in patients, who
    come and go.

    And more.
task:
  # who wrote it
  query_authorship:
    question: "Who writes?"
    answer: |
      Two nurses.
        One indented.

      A line after.
    holds_at_deployment: "No (patients)"
  information_completeness: {question: "All there?", answer: Yes, holds_at_deployment: 'Partially; photos vary'}
  interaction_type:
    question: Turns?
    answer: Single-shot prompts only.
    holds_at_deployment: No
outcome:
  decision_mediation: {question: "Who decides?",   answer: "The model", holds_at_deployment: "no: a doctor"}

  # the last one
  outcome_validity:
    question: >
      What
      counts?
    answer: Right name
    holds_at_deployment: ~
notes: >-
  Made up,
  and folded.
# A comment under everything
""".replace("answer: Naming a rash: said plainly", "answer: Naming a rash; said plainly")

OLD_FORM = """\
benchmark_name: Ménière 医 🩺
citation: doe2026
intended_use_case:
    answer: Naming a rash
    holds_at_deployment: Yes   # older cards put it here
contextual:
    query_authorship:
        question: Who writes?
        answer: "Two nurses \\u00e9 \\t and \\x07 a bell"
    interaction_type:
        question: Turns?
        answer: Single-shot prompts only.
    patient_age:
        id: task.age
        question: How old?
        answer: 012
consequential:
    decision_mediation:
        question: Who decides?
        answer: on
    outcome_validity:
        question: What counts?
        answer: 1e3
tags:
- one
-   two
- {a: 1.10, b: 0x1F, c: 1_000, d: 2026-05-21T10:00:00Z, e: .5, f: null}
"""

ANCHORS = """\
%YAML 1.1
# before the document
---
# inside it
benchmark_name: &name Rash quiz
citation: *name
notes: &said "Seven doctors, \\"in quotes\\"."
intended_use_case: {answer: *said}
task:
  query_authorship: &block
    question: Who?
    answer: Nurses
  interaction_type:
    <<: *block
    answer: both
"""

TAGGED = """\
benchmark_name: !!str 12
citation: !quiz doe
intended_use_case: {answer: x}
task:
  query_authorship: {question: "Who?", answer: !!python/object/apply:os.getcwd ["x"]}
"""

FLOW = (
    '{benchmark_name: Rash, citation: "d", intended_use_case: {answer: a}, task: {query_authorship: {answer: Yes}}}\n'
)
LONG = f"""\
benchmark_name: {"a long name " * 60}
citation: "{"quoted and long " * 60}"
intended_use_case: {{answer: a}}
task: {{query_authorship: {{question: {"plain and long " * 60}, answer: b}}}}
notes: {"words " * 100}
"""
HALF = json.dumps({**yaml.safe_load(FLOW), "notes": "half a character: \ud83d"}, indent=2)
JSON = json.dumps({**yaml.safe_load(FLOW), "notes": "Ménière\nsecond line", "version": 2}, indent=4)
NO_END = TASK_FORM.rstrip("\n") + "\nversion2: last"

CARDS = {
    "task form": TASK_FORM,
    "old form": OLD_FORM,
    "anchors": ANCHORS,
    "tags": TAGGED,
    "flow": FLOW,
    "long lines": LONG,
    "no newline at the end": NO_END,
    "windows": TASK_FORM.replace("\n", "\r\n"),
    "windows, old form": OLD_FORM.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + OLD_FORM,
    "empty notes": OLD_FORM + "notes:\n",
    "null notes": OLD_FORM + "notes: ~   # none\n",
    "quoted notes": OLD_FORM + "notes: 'it''s   spaced '   # said\n",
    "literal notes": OLD_FORM + "notes: |\n\n  shallow   \n    deep\n  # no comment\n\n\n",
    "text with its own indent": OLD_FORM.replace(
        "question: How old?", "question: |4\n                How old?\n            Now"
    ),
    "notes that are a date": OLD_FORM + "notes: 2026-05-21\n",
    "json": JSON,
    "json with half a character": HALF,
}


@pytest.fixture
def write(tmp_path):
    def _write(text, name="card.yaml"):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return _write


@pytest.fixture(params=CARDS)
def card(request, write):
    return read_card(write(CARDS[request.param], "card.json" if "json" in request.param else "card.yaml"))


class Lenient(yaml.SafeLoader):
    """Plain values, with unknown tags passed over."""


def untagged(reader, suffix, node):
    return reader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else reader.construct_sequence(node)


Lenient.add_multi_constructor("!", untagged)
Lenient.add_multi_constructor("tag:yaml.org,2002:python/", untagged)


def values(text, loader):
    """The card by another reader than the package's own, without its notes."""
    content = yaml.load(text.removeprefix("\ufeff"), Loader=loader)  # noqa: S506 - safe loaders
    content.pop("notes", None)
    return content


def comments(text):
    return [line.partition("#")[2] for line in text.splitlines() if line.lstrip().startswith("#") or " # " in line]


# ---------------------------------------------------------------- nothing of a card is lost


def test_a_card_read_and_written_without_evidence_is_the_same_text(card):
    assert with_evidence(card) == card.text
    assert card.text == card.path.read_bytes().decode("utf-8-sig")


@pytest.mark.parametrize("loader", [yaml.BaseLoader, Lenient])
def test_every_other_value_its_type_and_its_place_stay(card, loader):
    before, after = values(card.text, loader), values(with_evidence(card, TRIAL), loader)
    assert json.dumps(after, default=repr) == json.dumps(before, default=repr)


def test_comments_stay_in_their_order(card):
    text = with_evidence(card, TRIAL)
    assert comments(text.partition("[rctgap")[0] + text.rpartition("[end of")[2]) == comments(card.text)


def test_quotes_and_line_ends_stay(card):
    text = with_evidence(card, TRIAL)
    assert ("\r\n" in text) == ("\r\n" in card.text)
    assert text.count("\r\n") in {0, text.count("\n")}
    kept = [
        line for line in card.text.splitlines() if line.count('"') == 2 and "notes" not in line and "\\" not in line
    ]
    assert all(" ".join(line.rstrip("}").split()) in " ".join(text.split()) for line in kept)


def test_a_card_with_evidence_reads_as_the_card_did_and_carries_it(card, write):
    again = read_card(write(with_evidence(card, TRIAL, OTHER), card.path.name))
    assert again.evidence == (TRIAL, OTHER)
    assert again.notes == ("" if card.notes == "~" else card.notes)
    assert again.assumptions == card.assumptions
    assert set(again.departures) <= set(card.departures)
    assert set(check_card(again)) <= set(check_card(card))
    assert (again.name, again.citation, again.version, again.intended_use) == (
        *(card.name, card.citation, card.version, card.intended_use),
    )


def test_writing_twice_changes_no_character(card, write):
    once = with_evidence(card, TRIAL, OTHER)
    again = read_card(write(once, card.path.name))
    assert with_evidence(again, TRIAL, OTHER) == once
    assert with_evidence(again) == once
    newer = replace(TRIAL, version="9.9")
    twice = with_evidence(read_card(write(once, card.path.name)), newer)
    assert with_evidence(read_card(write(twice, card.path.name)), TRIAL) == once


def test_every_kind_of_card_passes_the_schemas_check_as_before(write):
    keys = {"benchmark_name", "citation", "version", "intended_use_case", "task", "outcome", "notes"}
    path = write(TASK_FORM.replace("Single-shot prompts only.", "both").replace("Yes,", "'Yes',"))
    content = yaml.safe_load(with_evidence(read_card(path), TRIAL))
    assert set(content) == keys
    assert isinstance(content["notes"], str)


def test_a_card_without_notes_gets_them_last(write):
    text = with_evidence(read_card(write(OLD_FORM)), TRIAL)
    assert list(yaml.safe_load(text))[-1] == "notes"
    assert (
        list(json.loads(with_evidence(read_card(write(json.dumps(yaml.safe_load(FLOW)), "card.json")), TRIAL)))[-1]
        == "notes"
    )


def test_notes_stay_where_they_stood(write):
    assert list(yaml.safe_load(with_evidence(read_card(write(ANCHORS)), TRIAL)))[2] == "notes"


def test_text_that_the_notes_lent_to_another_key_stays_there(write):
    content = yaml.safe_load(with_evidence(read_card(write(ANCHORS)), TRIAL))
    assert content["intended_use_case"]["answer"] == 'Seven doctors, "in quotes".'


def test_a_mapping_is_written_plainly():
    given = {"notes": "Two\nlines", "task": {"query_authorship": {"question": "Who?", "answer": True}}}
    text = with_evidence(read_card(given), TRIAL)
    assert yaml.safe_load(text)["task"] == given["task"]
    assert read_card(yaml.safe_load(text)).evidence == (TRIAL,)
    assert yaml.safe_load(with_evidence(read_card(given))) == given


def test_a_json_card_stays_json_and_is_yaml_in_a_result(write):
    read = read_card(write(JSON, "card.json"))
    assert json.loads(with_evidence(read, TRIAL))["version"] == 2
    text = card_of_result(read, TRIAL)
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(text)
    assert values(text, yaml.SafeLoader) == values(JSON, yaml.SafeLoader)


def test_a_card_that_the_writer_would_change_is_refused_and_named(write, monkeypatch):
    read = read_card(write(TASK_FORM))
    wrong = replace(read, text=TASK_FORM.replace("Two nurses", "Three nurses"))
    with pytest.raises(CardError, match="cannot be written back as it stands: another value would change") as caught:
        with_evidence(wrong, TRIAL)
    assert caught.value.faults[0].file == str(read.path)
    assert yaml.safe_load(card_of_result(wrong, TRIAL))["task"]["query_authorship"]["answer"].startswith("Two nurses")


def test_a_card_that_would_be_too_large_is_refused(write):
    read = read_card(write(TASK_FORM))
    many = [replace(TRIAL, deployment=f"{n} {'x' * 20_000}") for n in range(25)]
    with pytest.raises(CardError, match="too large"):
        with_evidence(read, *many)


# ---------------------------------------------------------------- deployments


def test_the_same_deployment_is_replaced_in_its_place_and_others_stay(write):
    first = read_card(write(with_evidence(read_card(write(TASK_FORM)), TRIAL, OTHER)))
    newer = replace(TRIAL, version="0.2.0", assumptions=())
    third = replace(TRIAL, deployment="Trial C")
    again = read_card(write(with_evidence(first, third, newer)))
    assert again.evidence == (newer, OTHER, third)


def test_two_results_of_one_title_are_refused(write):
    with pytest.raises(CardError, match="two results have one title"):
        with_evidence(read_card(write(TASK_FORM)), TRIAL, replace(TRIAL, version="9"))


def test_figures_are_cut_to_six_digits():
    found = replace(VIOLATED, estimate=-0.11833333333, lower=-1e-9, upper=None)
    (read,) = split_notes(joined("", [replace(TRIAL, assumptions=(found,))])).evidence
    assert (read.assumptions[0].estimate, read.assumptions[0].lower, read.assumptions[0].upper) == (
        -0.118333,
        0.0,
        None,
    )


# ---------------------------------------------------------------- notes that are not ours

BLOCK = joined("", [TRIAL])
OPEN, CLOSE = BLOCK.splitlines()[0], BLOCK.splitlines()[-1]
HOSTILE_NOTES = [
    CLOSE,
    f"{CLOSE}\n{CLOSE}\n",
    OPEN,
    f"{OPEN}\n- deployment: fake\n",
    f"before\n{OPEN}\n- deployment: fake\n{CLOSE}\nafter",
    "[rctgap evidence 2: from the future]\n[end of rctgap evidence]",
    "\n\n",
    "text\n\n",
    "  leading\n\ttab\nand   trailing   \n",
    "\x07bell \x1b[31mred\u202e \u2028 \x85 \ufeff",
    "# not a comment\n---\n...\nnotes: again\n- item",
    "<script>alert(1)</script>",
    "'\"`|>&*!%@{}[],:?",
]


@pytest.mark.parametrize("notes", HOSTILE_NOTES)
def test_whatever_the_notes_hold_stays_outside_the_evidence(notes, write):
    path = write(json.dumps({**yaml.safe_load(FLOW), "notes": notes}), "card.json")
    for read in (read_card(path), read_card({**yaml.safe_load(FLOW), "notes": notes})):
        assert (read.notes, read.evidence) == (notes, ())
        name = "again.json" if read.path else "again.yaml"
        again = read_card(write(with_evidence(read, TRIAL), name))
        assert again.evidence == (TRIAL,)
        assert again.notes.strip() == notes.strip()
        assert not notes.strip() or again.notes == notes
        assert len(again.departures) <= len(read.departures)


@example("", "", "\x85")
@example("", "\u2028", "a\u2029b")
@given(st.text(max_size=200), st.text(max_size=40), st.text(max_size=60))
def test_any_text_in_notes_title_and_evidence_comes_back(notes, title, told):
    found = replace(TRIAL, deployment=title, assumptions=(replace(VIOLATED, evidence=told),))
    expected = split_notes(joined(notes, [found]))
    dumped = yaml.safe_dump({"notes": joined(notes, [found])}, allow_unicode=True)
    assert (expected.text, expected.evidence) == (notes, (found,))
    assert split_notes(yaml.safe_load(dumped)["notes"]).evidence == (found,)


def test_a_whole_block_pasted_in_twice_counts_once_and_is_told():
    notes = split_notes(f"{BLOCK}\n\n{BLOCK}")
    assert notes.evidence == (TRIAL,)
    assert notes.text == BLOCK
    assert "further evidence block" in notes.remark


def test_text_that_someone_adds_after_the_block_is_kept_as_notes():
    notes = split_notes(joined("Mine.", [TRIAL]) + "\nAnd more of mine.\n")
    assert (notes.text, notes.evidence, notes.remark) == ("Mine.\nAnd more of mine.\n", (TRIAL,), "")


def resealed(old, new):
    """A block with its body changed and its checksum made to fit, as no slip would make it."""
    opening, *body, _ = BLOCK.replace(old, new).split("\n")
    text = "".join(f"{line}\n" for line in body)
    return f"{opening}\n{text}[end of rctgap evidence, sha256 {hashlib.sha256(text.encode()).hexdigest()[:16]}]"


def test_a_block_resealed_without_a_change_is_read():
    assert resealed("", "") == BLOCK


DAMAGED = {
    "end mark gone": (BLOCK.replace(CLOSE, ""), "end mark is missing"),
    "figure changed by hand": (BLOCK.replace("status: violated", "status: holds"), "checksum differs"),
    "line gone": (BLOCK.replace("    margin: 0.05\n", "", 1), "checksum differs"),
    "other format": (BLOCK.replace("rctgap evidence 1", "rctgap evidence 2", 1), "opening mark"),
    "unknown key": (resealed("final: true", "final: true\n  colour: red"), "colour"),
    "unknown status": (resealed("status: violated", "status: proven"), "status"),
    "text for a number": (resealed("estimate: -0.118333", "estimate: '-0.118333'"), "estimate"),
    "not a number": (resealed("estimate: -0.118333", "estimate: .nan"), "neither text"),
    "truth value for text": (resealed("version: 0.1.0", "version: true"), "version"),
    "date for text": (resealed("version: 0.1.0", "version: 2026-05-21"), "neither text"),
    "key twice": (resealed("final: true", "final: true\n  final: true"), "given twice"),
    "key missing": (resealed("  final: true\n", ""), "final"),
    "assumption twice": (resealed(TURNS, QUERY), "given twice"),
    "tag": (resealed("final: true", "final: !!python/name:os.system"), "python/name"),
    "broken syntax": (resealed("final: true", "final: ["), "("),
    "no list": (resealed("- deployment: ", "- - "), "("),
    "empty": (resealed(BLOCK.partition("\n")[2].rpartition("\n")[0], ""), "("),
    "too long": (resealed("final: true", "final: true" + " " * 500_000), "400,000"),
    "nested deeply": (resealed("final: true", "final: " + "[" * 30 + "]" * 30), "nested"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_block_stays_in_the_notes_and_is_a_departure_that_says_why(name, write):
    block, reason = DAMAGED[name]
    read = read_card({**yaml.safe_load(FLOW), "notes": f"Mine.\n\n{block}"})
    assert read.evidence == ()
    assert read.notes == f"Mine.\n\n{block}"
    (told,) = [text for text in read.departures if "evidence block" in text]
    assert reason in told
    assert told.isprintable()
    again = read_card(write(with_evidence(read, OTHER)))
    assert (again.notes, again.evidence) == (read.notes, (OTHER,))


# ---------------------------------------------------------------- from a result


def row(name, status, joint=""):
    return AssumptionRow(name, "Who?", "Nurses", "No", status, joint, -0.1234567, -0.2, -0.05, "told", "x", 0.05, 0.9)


@pytest.fixture(scope="module")
def small(study):
    result = study.decomposed(study.simulated(), study.benchmark())
    rows = (row(QUERY, "violated", f"{COMPLETE};{TURNS}"), row(COMPLETE, "inconclusive"), row(TURNS, "not_testable"))
    return replace(result, title="A small trial", assumptions=rows)


INPUTS = [
    {"role": "analysis", "file": "analysis.yaml", "sha256": "1" * 64},
    {"role": "trial", "file": "trial.csv", "sha256": "2" * 64},
    {"role": "benchmark", "file": "runs.csv", "sha256": "3" * 64},
    {"role": "dictionary", "file": "dictionary.yaml", "sha256": "4" * 64},
    {"role": "card", "file": "card.yaml", "sha256": "5" * 64},
]
MANIFEST = {"inputs": INPUTS, "analysis": {"data": {"date": "Spring 2025"}}, "versions": {"rctgap": "0.0.9"}}


def test_evidence_of_a_result_takes_status_figures_and_origin(small):
    found = evidence_of(small, MANIFEST)
    first = found.assumptions[0]
    assert (found.deployment, found.data_date, found.version) == ("A small trial", "Spring 2025", "0.0.9")
    assert found.analysis_sha256 == "1" * 64
    assert [(one.assumption_id, one.status) for one in found.assumptions] == [
        (QUERY, "violated"),
        (COMPLETE, "inconclusive"),
        (TURNS, "not_testable"),
    ]
    assert (first.estimate, first.lower, first.upper, first.level, first.margin) == (-0.123457, -0.2, -0.05, 0.9, 0.05)
    assert first.joint_with == (COMPLETE, TURNS)
    assert first.evidence == "told"
    assert "items fixed" in found.estimand
    assert found.final is small.final


def test_the_datas_hash_is_of_the_data_alone_in_any_order(small):
    lines = f"benchmark\truns.csv\t{'3' * 64}\ntrial\ttrial.csv\t{'2' * 64}\n"
    expected = hashlib.sha256(lines.encode()).hexdigest()
    assert evidence_of(small, MANIFEST).data_sha256 == expected
    assert evidence_of(small, {**MANIFEST, "inputs": INPUTS[::-1]}).data_sha256 == expected
    changed = [*INPUTS[:2], {**INPUTS[2], "sha256": "6" * 64}, *INPUTS[3:]]
    assert evidence_of(small, {**MANIFEST, "inputs": changed}).data_sha256 != expected


def test_a_result_without_files_or_date_says_so(small):
    found = evidence_of(small, {"analysis": {"data": {"date": None}}})
    assert (found.data_date, found.data_sha256, found.analysis_sha256) == ("", "", "")
    card = read_card({"task": {"query_authorship": {"question": "Who?", "answer": "Nurses"}}})
    assert describe_evidence(card, [found]).count("not stated") == 3


@pytest.mark.parametrize("inputs", [[{"role": "trial"}], ["trial.csv"], 3])
def test_a_damaged_manifest_is_refused(small, inputs):
    with pytest.raises(OutputError, match="the manifest is damaged"):
        evidence_of(small, {"inputs": inputs})


def test_scores_that_hold_their_scorers_errors_say_so(small):
    chosen = replace(small.settings, scores="rectified", uncorrected=("decision",))
    told = evidence_of(replace(small, settings=chosen), {}).estimand
    assert "scores rectified" in told
    assert "not corrected for the scorer's errors: decision" in told


def test_a_status_that_no_card_can_carry_is_refused(small):
    with pytest.raises(OutputError, match="value 'proven': this status cannot stand in a card"):
        evidence_of(replace(small, assumptions=(row(QUERY, "proven"),)), {})


# ---------------------------------------------------------------- result folders and the command

CARD = """\
benchmark_name: Small  # a comment
citation: none
intended_use_case: {answer: naming, deployment_context: clinics}
task:
  query_authorship: {question: "Who?", answer: "Nurses", holds_at_deployment: "No"}
  information_completeness: {question: "All?", answer: "Yes", holds_at_deployment: "No"}
  interaction_type: {question: "Turns?", answer: "both", holds_at_deployment: "No"}
notes: Mine.
"""


@pytest.fixture
def place(small, write, tmp_path):
    """A card and two results made with it."""
    card = read_card(write(CARD))
    for name in ("one", "two"):
        rg.save(replace(small, title=f"Trial {name}", card=card), tmp_path / name)
    return tmp_path


def run(*words):
    done = CliRunner().invoke(main, ["card", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_a_result_folder_holds_the_card_with_its_evidence(place, small):
    written = read_card(place / "one" / "card.yaml")
    assert written.evidence == (evidence_of(replace(small, title="Trial one"), {}),)
    assert written.notes == "Mine."
    assert "# a comment" in (place / "one" / "card.yaml").read_text()


def test_the_command_writes_in_place_and_the_check_has_no_more_to_say(place):
    path = place / "card.yaml"
    path.chmod(0o640)
    before = run("check", path).output
    done = run("evidence", path, place / "one", place / "two")
    assert done.exit_code == 0
    assert "Trial one" in done.output
    assert "\u2717 violated" in done.output
    assert "-12.3 points (-20.0 to -5.0 at 90 %)" in done.output
    assert f"jointly with {COMPLETE}" in " ".join(done.output.split())
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [one.deployment for one in read_card(path).evidence] == ["Trial one", "Trial two"]
    assert run("check", path).output == before
    assert sorted(one.name for one in place.iterdir()) == ["card.yaml", "one", "two"]
    first = path.read_bytes()
    assert run("evidence", path, place / "two", place / "one").exit_code == 0
    assert path.read_bytes() == first


def test_the_command_without_a_result_prints_what_the_card_holds(place):
    path = place / "card.yaml"
    assert "No result has been written into this card." in run("evidence", path).output
    run("evidence", path, place / "one", "--out", place / "new.yaml")
    assert path.read_text() == CARD
    shown = run("evidence", place / "new.yaml").output
    assert shown.splitlines()[0].split() == ["Trial", "one"]
    for name in (QUERY, COMPLETE, TURNS):
        assert any(line.startswith(name) for line in shown.splitlines())


def test_out_without_a_result_is_refused(place):
    done = run("evidence", place / "card.yaml", "--out", place / "new.yaml")
    assert done.exit_code == 2
    assert "there is nothing to write" in done.output


def test_a_folder_of_results_is_taken_apart_by_its_index(place):
    folder = place / "both"
    folder.mkdir()
    for name in ("one", "two"):
        (place / name).rename(folder / name)
    index = {"schema": "rctgap/results/1", "title": "", "lead": "", "results": ["two", "one"], "skipped": {}}
    (folder / "index.json").write_text(json.dumps(index))
    found = evidence_from(read_card(place / "card.yaml"), [folder])
    assert [one.deployment for one in found] == ["Trial two", "Trial one"]


def test_a_folder_of_results_without_an_index_is_taken_apart_by_name(place):
    found = evidence_from(read_card(place / "card.yaml"), [place])
    assert [one.deployment for one in found] == ["Trial one", "Trial two"]


def test_a_folder_without_a_result_is_refused(place):
    (place / "empty").mkdir()
    done = run("evidence", place / "card.yaml", place / "empty")
    assert done.exit_code == 2
    assert "no result here" in done.output


def test_an_assumption_that_the_card_lacks_is_refused_by_name(place, write):
    path = write(CARD.replace("  interaction_type:", "  turns:"))
    done = run("evidence", path, place / "one")
    assert done.exit_code == 2
    assert f"value '{TURNS}': the card has no assumption with this ID" in done.output
    assert str(place / "one") in done.output
    assert path.read_text() == CARD.replace("  interaction_type:", "  turns:")


def test_a_result_made_with_a_card_of_other_assumptions_is_refused_by_name(place, write):
    further = CARD.replace("notes: Mine.", "outcome:\n  decision_mediation: {question: Who decides, answer: AI}")
    with pytest.raises(CardError, match=r"value 'outcome\.decision_mediation': .* made with a card without this"):
        evidence_from(read_card(write(further)), [place / "one"])
    (place / "one" / "card.yaml").write_text(further)
    with pytest.raises(CardError, match=r"value 'outcome\.decision_mediation': .* a card that also has this"):
        evidence_from(read_card(write(CARD)), [place / "one"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("benchmark_name: Small", "benchmark_name: Large", ("another benchmark than 'Large'", "value 'Small'")),
        ("Who?", "Who wrote it?", ("another question to task.query_authorship",)),
        ('"Nurses"', '"Doctors"', ("another answer to task.query_authorship", "value 'Nurses'")),
    ],
)
def test_a_result_made_with_a_card_of_another_benchmark_question_or_answer_is_refused(place, write, old, new, words):
    assert old in CARD
    path = write(CARD.replace(old, new))
    done = run("evidence", path, place / "one")
    assert done.exit_code == 2
    assert all(word in done.output for word in words), done.output
    assert path.read_text() == CARD.replace(old, new)


def test_other_data_take_the_place_of_evidence_with_the_same_title_only_where_asked(place):
    path = place / "card.yaml"
    run("evidence", path, place / "one")
    first = path.read_text()
    inputs = [{"role": "trial", "file": "trial.csv", "sha256": "0" * 64}]
    (place / "one" / "manifest.json").write_text(json.dumps({"inputs": inputs}))
    done = run("evidence", path, place / "one")
    assert done.exit_code == 2
    assert "value 'Trial one'" in done.output
    assert "--replace" in done.output
    assert path.read_text() == first
    assert run("evidence", path, place / "one", "--replace").exit_code == 0
    assert read_card(path).evidence[0].data_sha256 != ""


@pytest.mark.parametrize("command", ["show", "evidence"])
def test_no_file_that_is_there_is_overwritten(command, place):
    mine = place / "trial.csv"
    mine.write_text("mine")
    results = [place / "one"] if command == "evidence" else []
    done = run(command, place / "card.yaml", *results, "--out", mine)
    assert done.exit_code == 2
    assert "there is a file already" in done.output
    assert mine.read_text() == "mine"


def test_a_write_protected_card_is_not_replaced(place):
    path = place / "card.yaml"
    path.chmod(0o444)
    done = run("evidence", path, place / "one")
    assert done.exit_code == 2
    assert "write-protected" in done.output
    assert path.read_text() == CARD


def test_a_result_without_a_card_of_its_own_is_read(place):
    (place / "one" / "card.yaml").unlink()
    assert len(evidence_from(read_card(place / "card.yaml"), [place / "one"])) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_where_nothing_may_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot write there"):
        replace_file(tmp_path / "card.yaml", "text")


def test_a_write_that_cannot_be_done_leaves_nothing_behind(tmp_path):
    with pytest.raises(OutputError, match="cannot write there"):
        replace_file(tmp_path / "none" / "card.yaml", "text")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot write there"):
        replace_file(tmp_path / "folder", "text")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_a_link_is_followed_and_stays(tmp_path, write):
    target = write("old")
    (tmp_path / "link.yaml").symlink_to(target)
    replace_file(tmp_path / "link.yaml", "new")
    assert (tmp_path / "link.yaml").is_symlink()
    assert target.read_text() == "new"


# ---------------------------------------------------------------- for people

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m\u202e | `x` [a](http://b) *b*"


@pytest.fixture
def hostile():
    found = replace(VIOLATED, evidence=HOSTILE, joint_with=(HOSTILE,))
    strange = replace(VIOLATED, assumption_id="task.gone<b>", status="not_testable")
    block = {"question": HOSTILE, "answer": HOSTILE, "holds_at_deployment": HOSTILE}
    trial = replace(TRIAL, deployment=HOSTILE, estimand=HOSTILE, data_date=HOSTILE, version=HOSTILE)
    content = {"benchmark_name": HOSTILE, "notes": HOSTILE, "task": {"query_authorship": block}, HOSTILE: "x"}
    return replace(read_card(content), evidence=(replace(trial, assumptions=(found, strange)), OTHER))


class Elements(HTMLParser):
    """Names of a page's elements, and what it refers to."""

    def __init__(self):
        super().__init__()
        self.tags, self.outside = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.outside += [value for name, value in attrs if name in {"href", "src", "srcset", "action"}]
        assert not any(name.startswith("on") for name, _ in attrs)


def test_no_format_passes_on_markup_or_control_characters(hostile):
    page, marked, shown = card_html(hostile), card_markdown(hostile), describe_card(hostile)
    for text in (page, marked, shown):
        assert not any(mark in text for mark in "\x1b\u202e")
    assert "<img" not in page
    assert "<img" not in marked
    assert "task.gone&lt;b&gt; (not in the card)" in page
    assert re.search(r"(?<!\\)[\]\[`*|]\(?http", marked) is None
    found = Elements()
    found.feed(page)
    assert found.tags <= {
        *("html", "head", "meta", "title", "link", "style", "body", "header", "main", "section", "div")
    } | {*("h1", "h2", "dl", "dt", "dd", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "span")}
    assert found.outside == ["data:,"]
    assert not any(word in page for word in ("@import", "url("))


def test_every_format_tells_the_status_by_word_and_sign(write):
    kinds = {
        "holds": "\u2713 holds",
        "violated": "\u2717 violated",
        "inconclusive": "? inconclusive",
        "untested": "\u00b7 untested",
        "not_testable": "\u2013 not testable",
    }
    for status, words in kinds.items():
        found = replace(TRIAL, assumptions=(replace(VIOLATED, status=status),))
        card = replace(read_card(write(TASK_FORM)), evidence=(found,))
        for text in (card_html(card), card_markdown(card), describe_card(card)):
            assert words in text, status


def test_every_format_shows_figures_in_points_with_their_interval_margin_and_caveat(write):
    card = replace(read_card(write(TASK_FORM)), evidence=(TRIAL, OTHER))
    for text in (card_html(card), card_markdown(card), describe_card(card)):
        flat = " ".join(text.replace("\\", "").split())
        assert "-11.8 points (-14.8 to -8.9 at 90 %)" in flat
        assert "margin 5" in flat
        assert "items random: inconclusive" in flat
        assert "Trial B (NOT FINAL)" in flat
        assert "Spring 2025" in flat
        assert "not stated" in flat
        assert "no assumption of this result" in flat
    assert "a" * 64 in card_html(card)


def test_an_estimate_without_an_interval_says_so(write):
    found = replace(TRIAL, assumptions=(replace(VIOLATED, lower=None, upper=None),))
    assert "-11.8 points (no interval)" in describe_evidence(read_card(write(TASK_FORM)), [found])


def test_the_text_stays_within_the_line_however_many_deployments(write):
    many = tuple(replace(TRIAL, deployment=f"Trial {n}") for n in range(9))
    card = replace(read_card(write(TASK_FORM)), evidence=many)
    lines = describe_card(card).splitlines()
    assert max(map(len, lines)) <= 120
    assert all(any(f"Trial {n}" in line for line in lines) for n in range(9))


@pytest.mark.parametrize(("form", "opening"), [("text", "Small"), ("markdown", "# Small"), ("html", "<!doctype html>")])
def test_the_command_shows_each_format_or_writes_it(form, opening, place):
    printed = run("show", place / "card.yaml", "--format", form).output
    assert printed.startswith(opening)
    done = run("show", place / "card.yaml", "--format", form, "--out", place / "shown")
    assert done.output.strip() == str(place / "shown")
    assert (place / "shown").read_text().strip() == printed.strip()
