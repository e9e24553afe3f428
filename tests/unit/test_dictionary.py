"""The data dictionary: what is refused, what is found by role, and its codebook."""

import copy
import json
from pathlib import Path

import pytest

from rctgap.dictionary import Field, Level, codebook, implied_table, read_dictionary
from rctgap.errors import DictionaryError, Fault

GROUP = {
    "name": "group",
    "type": "integer",
    "role": "arm",
    "levels": [{"value": 1, "label": "llama3", "aliases": ["Llama 3 70B"]}, {"value": 3, "label": "control"}],
}
RIGHT = {"name": "right", "type": "integer", "role": "score", "stage": "decision"}
TABLE = {
    "fields": [{"name": "pid", "type": "string", "role": "participant", "sensitive": True}, GROUP, RIGHT],
    "margins": [{"where": {"group": "llama3"}, "column": "right", "n": 600, "value": 0.83, "decimals": 3}],
}


def document(**changes):
    return {"schema": "rctgap/dictionary/1", "tables": {"trial": {**copy.deepcopy(TABLE), **changes}}}


def with_field(**field):
    return document(fields=[*copy.deepcopy(TABLE["fields"]), field])


def faults_of(content) -> list[Fault]:
    with pytest.raises(DictionaryError) as caught:
        read_dictionary(content)
    return list(caught.value.faults)


def one_fault(content) -> Fault:
    (fault,) = faults_of(content)
    return fault


def test_yaml_and_json_give_the_same_dictionary(tmp_path: Path):
    (tmp_path / "d.json").write_text(json.dumps(document()), encoding="utf-8")
    (tmp_path / "d.yaml").write_text(
        """
schema: rctgap/dictionary/1
tables:
  trial:
    fields:
      - {name: pid, type: string, role: participant, sensitive: true}
      - name: group
        type: integer
        role: arm
        levels: [{value: 1, label: llama3, aliases: ["Llama 3 70B"]}, {value: 3, label: control}]
      - {name: right, type: integer, role: score, stage: decision}
    margins:
      - {where: {group: llama3}, column: right, n: 600, value: 0.830, decimals: 3}
""",
        encoding="utf-8",
    )
    known = read_dictionary(document())
    assert read_dictionary(tmp_path / "d.json") == known
    assert read_dictionary(str(tmp_path / "d.yaml")) == known
    assert read_dictionary(document(title="Other")) != known


def test_fields_are_found_by_role_and_name():
    table = read_dictionary(document()).tables["trial"]
    assert [field.name for field in table.by_role("arm")] == ["group"]
    assert table.by_role("item") == ()
    assert table.field("right").stage == "decision"
    with pytest.raises(DictionaryError, match="Did you mean 'right'"):
        table.field("rigth")


def test_records_are_frozen():
    table = read_dictionary(document()).tables["trial"]
    with pytest.raises(ValueError, match="frozen"):
        table.title = "changed"


@pytest.mark.parametrize("given", [1, 1.0, "1", "llama3", "Llama 3 70B"])
def test_value_label_and_alias_meet_in_the_label(given):
    assert read_dictionary(document()).tables["trial"].field("group").label_of(given) == "llama3"


def test_a_measured_field_keeps_its_values():
    score = Field(name="s", role="score", levels=(Level(value=1, label="correct"), Level(value=0, label="wrong")))
    assert score.label_of("correct") == "1"


def test_a_value_that_is_no_level_is_its_own_text():
    assert read_dictionary(document()).tables["trial"].field("group").label_of("nobody") == "nobody"


def test_an_unknown_key_is_refused_with_the_nearest():
    content = with_field(name="age", type="integer", constraint={"minimum": 18})
    fault = one_fault(content)
    assert fault.place == "tables.trial.fields[3].constraint"
    assert "'constraints'" in fault.allowed


@pytest.mark.parametrize(("key", "given", "guess"), [("role", "particpant", "participant"), ("type", "int", "integer")])
def test_an_unknown_role_or_type_is_refused_with_the_nearest(key, given, guess):
    fault = one_fault(with_field(**{"name": "x", key: given}))
    assert fault.value == given
    assert f"Did you mean '{guess}'" in fault.allowed


def test_a_word_that_yaml_reads_as_true_is_named():
    fault = one_fault(with_field(name="x", type="string", levels=[{"value": "y", "label": True}]))
    assert "quotes" in fault.allowed
    fault = one_fault(with_field(name="x", type="string", levels=[{"value": True, "label": "yes"}]))
    assert "quotes" in fault.allowed


def test_all_faults_are_collected():
    content = document(primaryKey="pidd", margins=[{"column": "rihgt", "n": 3}, {"where": {}, "column": "right"}])
    content["tables"]["trial"]["fields"].append({"name": "pid", "role": "participant"})
    places = [fault.place for fault in faults_of(content)]
    assert places == [
        "tables.trial.fields[3].name",
        "tables.trial.fields[3].role",
        "tables.trial.primaryKey",
        "tables.trial.margins[0].column",
        "tables.trial.margins[1]",
    ]


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ({"name": "x", "type": "integer", "role": "position", "stage": "s"}, None),
        ({"name": "x", "role": "arm"}, None),
        ({"name": "x", "role": "participant"}, "second field with role participant"),
        ({"name": "x", "type": "string", "role": "score"}, "a score cannot be of type string"),
        ({"name": "x", "type": "integer", "role": "score", "constraints": {"maximum": 10}}, "[0, 1]"),
        ({"name": "x", "type": "integer", "constraints": {"pattern": "[0-9]"}}, "does not apply"),
        ({"name": "x", "type": "string", "constraints": {"minimum": 1}}, "does not apply"),
        ({"name": "x", "type": "boolean", "constraints": {"maxLength": 1}}, "does not apply"),
        ({"name": "x", "type": "string", "decimalChar": ","}, "does not apply"),
        ({"name": "x", "type": "integer", "constraints": {"minimum": "low"}}, "not of type integer"),
        ({"name": "x", "type": "integer", "constraints": {"minimum": 2.5}}, "not of type integer"),
        ({"name": "x", "type": "date", "constraints": {"minimum": "2024-13-01"}}, "not of type date"),
        ({"name": "x", "type": "integer", "constraints": {"minimum": 3, "maximum": 2}}, "above maximum"),
        ({"name": "x", "type": "string", "constraints": {"pattern": "("}}, "cannot be used"),
        ({"name": "x", "type": "string", "constraints": {"pattern": "(?=a)"}}, "cannot be used"),
        ({"name": "x", "type": "string", "constraints": {"pattern": "(a+)+"}}, None),
        ({"name": "x", "levels": [{"value": "a"}, {"value": "a"}]}, "already means"),
        ({"name": "x", "levels": [{"value": "a"}, {"value": "b", "aliases": ["a"]}]}, "already means"),
        ({"name": "x", "levels": [{"value": 1, "label": "2"}, {"value": 2}]}, "already means"),
        ({"name": "x", "levels": [{"value": ""}]}, "missing code"),
        ({"name": "x", "type": "integer", "levels": [{"value": "a"}]}, "not of type integer"),
        ({"name": "x", "levels": [{"value": "a"}], "constraints": {"enum": ["b"]}}, "none of the field's levels"),
        ({"name": "x", "levels": [{"value": "a", "label": "A"}], "constraints": {"enum": ["a"]}}, None),
    ],
)
def test_fields_that_contradict_themselves(field, what):
    if what is None:
        assert read_dictionary(with_field(**field)).tables["trial"].field("x").name == "x"
    else:
        fault = one_fault(with_field(**field))
        assert what in fault.what
        assert fault.place.startswith("tables.trial.fields[3]")


def test_successes_need_trials_and_in_a_trial_a_stage():
    won, tried = {"name": "k", "role": "successes"}, {"name": "m", "role": "trials"}
    assert "successes without trials" in one_fault(with_field(**won, stage="own_query")).what
    table = {"fields": [won, tried]}
    assert read_dictionary({"schema": "rctgap/dictionary/1", "tables": {"benchmark": table}})
    faults = faults_of({"schema": "rctgap/dictionary/1", "tables": {"trial": table}})
    assert [fault.what for fault in faults] == ["successes without a stage", "trials without a stage"]


def test_one_system_for_each_stage():
    systems = [{"name": f"m{stage}", "role": "system", "stage": stage} for stage in ("a", "b")]
    assert read_dictionary(document(fields=systems, margins=[]))
    fault = one_fault(document(fields=[*systems, {**systems[0], "name": "again"}], margins=[]))
    assert "second field with role system for stage 'a'" in fault.what


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ({"resource": "itmes", "fields": "v"}, "no such table"),
        ({"resource": "items", "fields": "w"}, "no such field"),
        ({"resource": "items", "fields": ["v", "v"]}, "differ in length"),
    ],
)
def test_foreign_keys_lead_somewhere(reference, what):
    content = document(foreignKeys=[{"fields": "pid", "reference": reference}])
    content["tables"]["items"] = {"fields": [{"name": "v", "role": "item"}]}
    assert what in one_fault(content).what


@pytest.mark.parametrize(
    ("margin", "what"),
    [
        ({"column": "right", "n": 3}, None),
        ({"n": 3}, None),
        ({"where": {"group": "lama3"}, "n": 3}, "no such level"),
        ({"where": {"grup": "llama3"}, "n": 3}, "no such field"),
        ({"column": "right"}, "states nothing"),
        ({"value": 0.5, "decimals": 1}, "without a column"),
        ({"column": "right", "value": 0.83}, "without its decimals"),
        ({"column": "right", "value": 0.8283, "decimals": 3}, "more than 3 decimals"),
    ],
)
def test_margins(margin, what):
    content = document(margins=[margin])
    if what is None:
        assert read_dictionary(content).tables["trial"].margins[0].n == 3
    else:
        assert what in one_fault(content).what


def test_a_table_name_close_to_a_known_one_is_a_slip():
    content = document()
    content["tables"]["benchmarks"] = {"fields": [{"name": "v"}]}
    assert "'benchmark'" in one_fault(content).allowed
    content["tables"]["participants"] = content["tables"].pop("benchmarks")
    assert "participants" in read_dictionary(content).tables


def test_implied_table_reads_roles_from_exact_names():
    table = implied_table(["participant", "Arm", "arm", "decision", "age"], {"decision": "decision"})
    assert [(field.role, field.stage) for field in table.fields] == [
        ("participant", None),
        (None, None),
        ("arm", None),
        ("score", "decision"),
        (None, None),
    ]
    assert [field.kind for field in table.fields] == ["string", "any", "string", "number", "any"]


def test_codebook_tells_people_everything_in_order():
    content = document(title="The | trial", primaryKey="pid", missingValues=["", {"value": -99, "label": "refused"}])
    content["tables"]["trial"]["fields"].append(
        {"name": "age", "type": "integer", "unit": "years", "description": "At\nentry", "constraints": {"minimum": 18}}
    )
    content["tables"]["trial"]["fields"][0]["example"] = "secret-id"
    text = codebook(read_dictionary(content))
    assert text == codebook(read_dictionary(copy.deepcopy(content)))
    assert "The \\| trial" in text
    assert "At entry" in text
    assert '"-99" (refused)' in text
    assert "minimum 18" in text
    assert "Primary key: pid" in text
    assert "| 1 | llama3 | Llama 3 70B |" in text
    assert text.index("| llama3 |") < text.index("| control |")
    assert "| group = llama3 | right | 600 | 0.830 |" in text
    assert "secret-id" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and "years" in line]
    assert len(rows) == 1
