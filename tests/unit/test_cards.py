import dataclasses
import datetime as dt
import hashlib
import json
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rctgap.card_rendering import describe_card
from rctgap.cards import (
    DEFAULT_ASSUMPTIONS,
    BenchmarkCard,
    check_card,
    declared_holds,
    read_card,
)
from rctgap.errors import CardError

ROOT = Path(__file__).parents[2]
OWN_CARDS = {
    "raman2026": ROOT / "src/rctgap/datasets/raman2026/card.yaml",
    "hager2024": ROOT / "analyses/hager2024/card.yaml",
    "healthbench": ROOT / "analyses/healthbench/card.yaml",
}

COMPLETE = """\
benchmark_name: "Rash quiz"
citation: "doe2026"
version: "2"
intended_use_case:
  answer: "Naming a rash"
  deployment_context: "Walk-in patients"
task:
  query_authorship: {question: "Who writes?", answer: "Two nurses", holds_at_deployment: "No (patients)"}
  information_completeness: {question: "All there?", answer: "Yes", holds_at_deployment: "Partially; photos vary"}
  interaction_type: {question: "Turns?", answer: "single-turn", holds_at_deployment: "No"}
outcome:
  decision_mediation: {question: "Who decides?", answer: "The model", holds_at_deployment: "no: a doctor"}
  outcome_validity: {question: "What counts?", answer: "Right name", holds_at_deployment: "Yes, quite"}
notes: "Made up"
"""
BARE = {
    "benchmark_name": "Rash quiz",
    "citation": "doe2026",
    "intended_use_case": {"answer": "Naming a rash"},
}
ASKED = {"question": "Who writes?", "answer": "Two nurses"}


@pytest.fixture
def write(tmp_path):
    def _write(text, name="card.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def faults_of(source):
    with pytest.raises(CardError) as caught:
        read_card(source)
    return caught.value.faults


def departures_of(**keys):
    return read_card({**BARE, "task": {"query_authorship": ASKED}, **keys}).departures


def notes_of(card, kind):
    return [note.text for note in check_card(card) if note.kind == kind]


def test_complete_card_is_read_whole(write):
    path = write(COMPLETE)
    card = read_card(path)
    assert (card.name, card.citation, card.version, card.notes) == ("Rash quiz", "doe2026", "2", "Made up")
    assert (card.intended_use, card.deployment_context) == ("Naming a rash", "Walk-in patients")
    assert card.ids == DEFAULT_ASSUMPTIONS
    first = card.assumptions[0]
    assert (first.family, first.key) == ("task", "query_authorship")
    assert (first.question, first.answer, first.holds_at_deployment) == ("Who writes?", "Two nurses", "No (patients)")
    assert [assumption.declared for assumption in card.assumptions] == ["no", "partially", "no", "no", "yes"]
    assert card.departures == ()
    assert check_card(card) == ()
    assert card.path == path
    assert card.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_path_text_and_mapping_give_the_same_content(write):
    path = write(COMPLETE)
    by_mapping = read_card(yaml.safe_load(COMPLETE))
    assert read_card(str(path)) == read_card(path)
    assert (by_mapping.path, by_mapping.sha256) == (None, "")
    assert dataclasses.replace(read_card(path), path=None, sha256="") == by_mapping


def test_json_card_is_read(write):
    path = write(json.dumps(yaml.safe_load(COMPLETE)), "card.json")
    assert read_card(path).assumptions == read_card(yaml.safe_load(COMPLETE)).assumptions


def test_older_family_names_are_read_as_task_and_outcome(write):
    older = COMPLETE.replace("task:", "contextual:").replace("outcome:", "consequential:")
    card = read_card(write(older))
    assert card.assumptions == read_card(yaml.safe_load(COMPLETE)).assumptions
    assert card.departures == (
        "contextual is an older name of a family, where the schema has task; it was read as task.",
        "consequential is an older name of a family, where the schema has outcome; it was read as outcome.",
    )


def test_both_names_of_a_family_are_merged():
    card = read_card({**BARE, "contextual": {"query_authorship": ASKED}, "task": {"information_completeness": ASKED}})
    assert card.ids == ("task.query_authorship", "task.information_completeness")


def test_same_key_under_both_names_of_a_family_is_refused():
    explicit = {**ASKED, "id": "task.other"}
    (fault,) = faults_of({**BARE, "task": {"query_authorship": ASKED}, "contextual": {"query_authorship": explicit}})
    assert fault.place == "contextual.query_authorship"
    assert fault.value == "query_authorship"
    assert "task.query_authorship" in fault.allowed


def test_holds_at_deployment_of_the_intended_use_is_kept_as_a_departure():
    use = {"answer": "Naming a rash", "holds_at_deployment": "Partially"}
    card = read_card({**BARE, "intended_use_case": use, "task": {"query_authorship": ASKED}})
    assert card.intended_use_holds == "Partially"
    (sentence,) = card.departures
    assert sentence.startswith("intended_use_case.holds_at_deployment is a further key")
    assert sentence.endswith("the schema allows only answer, deployment_context; it was kept.")


def test_free_text_interaction_answer_is_a_departure():
    (sentence,) = departures_of(task={"interaction_type": {"question": "Turns?", "answer": "One shot only"}})
    assert sentence == (
        "task.interaction_type.answer is 'One shot only', where the schema allows one of "
        "single-turn, multi-turn, both, single-turn (single-shot)."
    )


@pytest.mark.parametrize("answer", ["single-turn", "multi-turn", "both", "single-turn (single-shot)"])
def test_allowed_interaction_answers_are_no_departure(answer):
    assert departures_of(task={"interaction_type": {"question": "Turns?", "answer": answer}}) == ()


@pytest.mark.parametrize("place", ["benchmark_name", "citation", "intended_use_case"])
def test_missing_required_key_of_the_card_is_a_departure(place):
    content = {**BARE, "task": {"query_authorship": ASKED}}
    del content[place]
    assert f"{place} is missing, where the schema requires it." in read_card(content).departures


@pytest.mark.parametrize("key", ["question", "answer"])
def test_missing_required_key_of_an_assumption_is_a_departure(key):
    (sentence,) = departures_of(task={"query_authorship": {k: v for k, v in ASKED.items() if k != key}})
    assert sentence == f"task.query_authorship.{key} is missing, where the schema requires it."


def test_missing_answer_of_the_intended_use_is_a_departure():
    (sentence,) = departures_of(intended_use_case={"deployment_context": "Wards"})
    assert sentence.startswith("intended_use_case.answer is missing")


def test_intended_use_written_as_text_is_read_as_its_answer():
    card = read_card({**BARE, "intended_use_case": "Naming a rash", "task": {"query_authorship": ASKED}})
    assert card.intended_use == "Naming a rash"
    assert len(card.departures) == 1
    assert "'Naming a rash', where the schema has a mapping" in card.departures[0]


def test_unknown_top_level_key_is_a_departure_and_is_kept():
    card = read_card({**BARE, "task": {"query_authorship": ASKED}, "licence": {"code": "free"}})
    (sentence,) = card.departures
    assert sentence.startswith("licence is a further key")
    assert card.document["licence"]["code"] == "free"


def test_unknown_key_of_an_assumption_is_a_departure_and_is_kept():
    card = read_card({**BARE, "task": {"query_authorship": {**ASKED, "severity": "high"}}})
    (sentence,) = card.departures
    assert sentence.startswith("task.query_authorship.severity is a further key")
    assert card.document["task"]["query_authorship"]["severity"] == "high"


def test_further_assumption_gets_its_id_from_its_key_path():
    card = read_card({**BARE, "contextual": {"patient_age": ASKED}})
    assert card.ids == ("task.patient_age",)
    assert any(
        sentence.startswith("contextual.patient_age is a further assumption")
        and sentence.endswith("read as task.patient_age.")
        for sentence in card.departures
    )


@pytest.mark.parametrize("name", ["task.age", "A-6", "local.age.group_2"])
def test_explicit_id_wins_over_the_key_path(name):
    card = read_card({**BARE, "task": {"Age of the patient!": {**ASKED, "id": name}}})
    assert card.ids == (name,)
    assert card.assumptions[0].key == "Age of the patient!"
    assert any("patient!.id is a further key" in sentence for sentence in card.departures)


@pytest.mark.parametrize("name", ["", "task..age", "6a", "task.age group", "task.äge", "task.age;x", "task.age\nb"])
def test_invalid_explicit_id_is_refused(name):
    (fault,) = faults_of({**BARE, "task": {"age": {**ASKED, "id": name}}})
    assert (fault.what, fault.place, fault.value) == ("the ID is invalid", "task.age.id", name)


def test_key_that_makes_no_id_is_refused_with_the_way_out():
    (fault,) = faults_of({**BARE, "task": {"Age of the patient!": ASKED}})
    assert fault.place == "task.Age of the patient!"
    assert "explicit 'id'" in fault.allowed


@pytest.mark.parametrize("name", ["outcome.age", "consequential.age", "contextual.age"])
def test_explicit_id_of_another_family_is_refused(name):
    (fault,) = faults_of({**BARE, "task": {"age": {**ASKED, "id": name}}})
    assert (fault.what, fault.value) == ("the ID names another family", name)


def test_two_assumptions_with_one_id_are_refused():
    (fault,) = faults_of(
        {**BARE, "task": {"query_authorship": ASKED, "writer": {**ASKED, "id": "task.query_authorship"}}}
    )
    assert (fault.what, fault.place, fault.value) == ("the ID is given twice", "task.writer", "task.query_authorship")
    assert "task.query_authorship" in fault.allowed


@pytest.mark.parametrize("again", ['citation: "again"\n', "task: {}\n"])
def test_duplicate_yaml_key_is_refused_by_name_and_line(write, again):
    (fault,) = faults_of(write(COMPLETE + again))
    assert repr(again.split(":")[0]) in fault.what
    assert fault.place.startswith("line 15,")


def test_duplicate_assumption_key_is_refused(write):
    line = "  query_authorship: {question: a, answer: b}\n"
    (fault,) = faults_of(write(f"task:\n{line}{line}"))
    assert "'query_authorship'" in fault.what
    assert fault.place.startswith("line 3,")


@pytest.mark.parametrize("content", ["", "[]", "just text", "a: [", "a: &x [*x]\nb: *y"])
def test_file_that_is_no_card_is_refused_with_its_name(write, content):
    path = write(content)
    (fault, *_) = faults_of(path)
    assert fault.file == str(path)


def test_missing_file_is_refused(tmp_path):
    (fault,) = faults_of(tmp_path / "none.yaml")
    assert fault.what == "no such file"


def test_empty_card_is_refused(write):
    (fault,) = faults_of(write("{}"))
    assert fault.what == "the card is empty"


@pytest.mark.parametrize("families", [{}, {"task": {}}, {"task": {}, "consequential": {}}])
def test_card_without_any_assumption_is_refused(families):
    (fault,) = faults_of({**BARE, **families})
    assert fault.what == "the card states no assumption"


@pytest.mark.parametrize("family", ["task", "outcome", "contextual", "consequential"])
@pytest.mark.parametrize("content", ["some text", "", None, ["a", "b"]])
def test_family_that_is_no_mapping_is_refused(family, content):
    (fault,) = faults_of({**BARE, family: content})
    assert (fault.what, fault.place) == ("the family is not a mapping", family)


def test_all_faults_come_together_with_place_and_value(write):
    path = write("""\
benchmark_name: {first: Rash}
task:
  query_authorship: "Two nurses"
  interaction_type: {question: {a: b}, answer: "both"}
  age: {question: "How old?", answer: "All", id: "no good"}
outcome: nothing
""")
    found = faults_of(path)
    assert {fault.file for fault in found} == {str(path)}
    assert {(fault.place, fault.value) for fault in found} == {
        ("benchmark_name", "a mapping"),
        ("task.query_authorship", "Two nurses"),
        ("task.interaction_type.question", "a mapping"),
        ("task.age.id", "no good"),
        ("outcome", "nothing"),
    }


def test_values_that_plain_readers_do_not_take_for_text_are_departures(write):
    text = COMPLETE.replace('"2"', "2").replace('answer: "Yes"', "answer: Yes").replace('"Made up"', "2026-05-21")
    card = read_card(write(text))
    assert (card.version, card.assumptions[1].answer, card.notes) == ("2", "Yes", "2026-05-21")
    assert [
        sentence.removesuffix(", where the schema allows text: write it in quotes.") for sentence in card.departures
    ] == [
        "version is '2', a number to plain readers",
        "notes is '2026-05-21', a date to plain readers",
        "task.information_completeness.answer is 'Yes', a truth value to plain readers",
    ]


def test_typed_values_of_a_mapping_are_read_as_text():
    block = {"question": ["Who?", "When?"], "answer": True, "holds_at_deployment": False}
    card = read_card({**BARE, "version": 2, "notes": None, "citation": dt.date(2026, 5, 21), "task": {"age": block}})
    (assumption,) = card.assumptions
    assert (card.version, card.notes, card.citation) == ("2", "", "2026-05-21")
    assert (assumption.question, assumption.answer, assumption.declared) == ("Who?\nWhen?", "Yes", "no")
    assert "notes is empty, where the schema allows text: write it in quotes." in card.departures
    assert sum("write it in quotes" in sentence for sentence in card.departures) == 6


def test_unknown_yaml_tag_is_text_and_never_evaluated(write):
    card = read_card(write(COMPLETE.replace('"Two nurses"', '!!python/object/apply:os.getcwd ["x"]')))
    assert card.assumptions[0].answer == "x"


def test_aliases_that_swell_the_document_are_refused(write):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (fault,) = faults_of(write("\n".join(lines)))
    assert "holds too much" in fault.what


def test_document_that_holds_itself_is_refused():
    loop = {**BARE}
    loop["licence"] = [loop]
    (fault,) = faults_of(loop)
    assert "nested too deeply" in fault.what


@pytest.mark.parametrize("content", [{1: "a"}, {"task": {True: ASKED}}, {"notes": b"bytes"}, {"notes": object()}])
def test_mapping_that_no_text_document_gives_is_refused(content):
    with pytest.raises(CardError, match=r"not text|a value is a"):
        read_card(content)


def test_card_is_immutable_throughout():
    source = {**BARE, "task": {"query_authorship": dict(ASKED)}, "tags": ["a"]}
    card = read_card(source)
    source["task"]["query_authorship"]["answer"] = "changed"
    assert card.document["task"]["query_authorship"]["answer"] == "Two nurses"
    assert isinstance(card.document, MappingProxyType)
    assert card.document["tags"] == ("a",)
    with pytest.raises(TypeError):
        card.document["task"]["query_authorship"]["answer"] = "changed"
    with pytest.raises(dataclasses.FrozenInstanceError):
        card.name = "changed"
    assert hash(card) == hash(read_card(card.document))


def test_require_returns_the_assumptions_in_the_order_asked():
    card = read_card(yaml.safe_load(COMPLETE))
    found = card.require(["outcome.decision_mediation", "task.query_authorship"], "here")
    assert [assumption.key for assumption in found] == ["decision_mediation", "query_authorship"]


def test_require_names_every_unknown_id_with_the_nearest():
    card = read_card(yaml.safe_load(COMPLETE))
    with pytest.raises(CardError) as caught:
        card.require(["task.query_autorship", "task.query_authorship", "zzz"], "transitions[0]")
    first, second = caught.value.faults
    assert (first.place, first.value) == ("transitions[0]", "task.query_autorship")
    assert first.allowed.startswith("Did you mean 'task.query_authorship'?")
    assert second.value == "zzz"
    assert "Did you mean" not in second.allowed
    assert "outcome.outcome_validity" in second.allowed


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Yes", "yes"),
        ("  yes.", "yes"),
        ("YES: always", "yes"),
        ("No (multi-turn)", "no"),
        ("no - patients write", "no"),
        ("No\npatients write", "no"),
        ("**No**", "no"),
        ("Partially; photos vary", "partially"),
        ('"Partially"', "partially"),
        ("", ""),
        ("Not really", ""),
        ("None", ""),
        ("No-one knows", ""),
        ("Nobody", ""),
        ("Yesterday it did", ""),
        ("Partly", ""),
        ("Mostly yes", ""),
        ("Yes / No / Partially", ""),
        ("Yes|No", ""),
        ("yes and no", ""),
        ("No or partially", ""),
        ("Yes?", ""),
        ("It depends: no", ""),
        ("Ye\u017f", ""),
    ],
)
def test_declared_holds_reads_the_opening_word_alone(text, verdict):
    assert declared_holds(text) == verdict


def test_check_names_missing_defaults():
    card = read_card({**BARE, "task": {"query_authorship": ASKED}})
    assert [text.split(" ")[0] for text in notes_of(card, "missing")] == list(DEFAULT_ASSUMPTIONS[1:])


def test_check_names_unanswered_fields():
    card = read_card({**BARE, "citation": " ", "task": {"query_authorship": {"question": "null", "answer": "\n"}}})
    assert notes_of(card, "unanswered") == [
        "citation is empty.",
        "task.query_authorship.question is empty.",
        "task.query_authorship.answer is empty.",
    ]


def test_check_tells_of_gaps_in_the_practitioners_column():
    declared = {**ASKED, "holds_at_deployment": "Hard to say"}
    card = read_card({**BARE, "task": {"query_authorship": ASKED, "interaction_type": {**declared, "answer": "both"}}})
    context, blank, undeclared = notes_of(card, "practitioner")
    assert context.startswith("intended_use_case.deployment_context is empty")
    assert blank == "holds_at_deployment is empty for task.query_authorship."
    assert undeclared.startswith("task.interaction_type.holds_at_deployment does not open with")


def test_check_repeats_the_departures():
    card = read_card({"task": {"query_authorship": ASKED}, "licence": "free"})
    assert notes_of(card, "departure") == list(card.departures)
    assert len(card.departures) == 4


def test_describe_shows_a_table_and_the_departures():
    long = "word " * 30
    card = read_card({**yaml.safe_load(COMPLETE), "licence": "free", "notes": long})
    lines = describe_card(card).splitlines()
    assert lines[0] == "Rash quiz"
    assert "intended use:  Naming a rash" in lines
    assert any(line.startswith("task.query_authorship") and line.endswith("No (patients)") for line in lines)
    assert "Departures from the authors' schema:" in lines
    assert any(line.startswith("- licence is a further key") for line in lines)
    assert max(map(len, lines)) <= 120
    assert str(card) == describe_card(card)


def test_describe_says_when_nothing_departs():
    assert describe_card(read_card(yaml.safe_load(COMPLETE))).endswith("No departure from the authors' schema.")


def test_control_characters_are_stripped_where_shown_and_kept_where_stored():
    hostile = "\x1b[31mred\x07\u202eback\ud800"
    block = {**ASKED, "answer": hostile, "holds_at_deployment": hostile, hostile: "x"}
    card = read_card({**BARE, "benchmark_name": hostile, "task": {"interaction_type": block}, hostile: "x"})
    assert card.name == hostile
    assert card.assumptions[0].answer == hostile
    shown = [describe_card(card), *card.departures, *map(str, check_card(card))]
    assert "[31mredback" in shown[0]
    assert not any(mark in text for text in shown for mark in "\x1b\x07\u202e\ud800")


def test_control_characters_are_not_passed_on_by_faults():
    hostile = "\x1b[31mred"
    with pytest.raises(CardError) as caught:
        read_card({**BARE, "task": {hostile: hostile}})
    assert "\x1b" not in str(caught.value)


@given(st.lists(st.text(), min_size=4, max_size=4))
def test_any_text_is_kept_unharmed_and_shown_without_harm(texts):
    question, answer, holds, name = texts
    block = {"question": question, "answer": answer, "holds_at_deployment": holds}
    card = read_card({**BARE, "benchmark_name": name, "task": {"interaction_type": block}})
    (assumption,) = card.assumptions
    assert [assumption.question, assumption.answer, assumption.holds_at_deployment, card.name] == texts
    shown = describe_card(card) + "".join(map(str, check_card(card)))
    assert all(mark.isprintable() or mark in "\n\u200c\u200d" for mark in shown)
    assert read_card(card.document) == card


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.dates()
KEYS = st.sampled_from(["task", "outcome", "contextual", "intended_use_case", "age", "id", "answer", "notes"])
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
)


def outcome_of(document):
    try:
        return read_card(document)
    except CardError as refused:
        return refused


@given(st.dictionaries(KEYS, DOCUMENTS, max_size=4))
def test_any_document_is_a_card_or_a_card_error(document):
    outcome = outcome_of(document)
    if isinstance(outcome, CardError):
        assert outcome.faults
        shown = str(outcome)
    else:
        assert outcome.assumptions
        assert len(set(outcome.ids)) == len(outcome.ids)
        shown = describe_card(outcome)
    assert all(mark.isprintable() or mark in "\n\u200c\u200d" for mark in shown)


@pytest.mark.parametrize("name", OWN_CARDS)
def test_own_cards_satisfy_the_schema_and_are_complete(name):
    card = read_card(OWN_CARDS[name])
    assert isinstance(card, BenchmarkCard)
    assert card.ids == DEFAULT_ASSUMPTIONS
    assert check_card(card) == ()
    assert all(assumption.declared for assumption in card.assumptions)
