"""Raw frames against their table: canonical values, and every fault at once."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.config import ValidationDepth, config_context

from rctgap.dictionary import Table, implied_table
from rctgap.errors import DataError, DictionaryError, Fault
from rctgap.files import read_table
from rctgap.lookups import rows_where
from rctgap.validation import validate

LEVELS = [{"value": 1, "label": "llama3", "aliases": ["Llama 3 70B"]}, {"value": 3, "label": "control"}]


def table_of(*fields, **keys) -> Table:
    return Table.model_validate({"fields": list(fields), "missingValues": ["", "NA"], **keys})


TRIAL = table_of(
    {"name": "pid", "type": "string", "role": "participant", "sensitive": True, "constraints": {"required": True}},
    {"name": "group", "type": "integer", "role": "arm", "levels": LEVELS},
    {"name": "right", "type": "integer", "role": "score", "stage": "decision"},
    {"name": "time", "type": "number", "constraints": {"minimum": 0, "exclusiveMaximum": 100}},
    {"name": "used", "type": "boolean", "role": "used"},
    {"name": "day", "type": "date"},
)
TEXT = pd.DataFrame(
    {
        "pid": ["007", "8", "9"],
        "group": ["1", "control", "Llama 3 70B"],
        "right": ["1", "0", "NA"],
        "time": ["1.5", "", "2e1"],
        "used": ["TRUE", "0", ""],
        "day": ["2024-01-31", "", "2024-02-29"],
    }
)


def faults_of(frame: pd.DataFrame, table: Table, **others) -> list[Fault]:
    with pytest.raises(DataError) as caught:
        validate(frame, table, name="t.csv", **others)
    return list(caught.value.faults)


def single(kind: str, *values, **field) -> list[Fault]:
    return faults_of(pd.DataFrame({"x": list(values)}), table_of({"name": "x", "type": kind, **field}))


def test_text_becomes_typed_values():
    clean = validate(TEXT, TRIAL, name="t.csv")
    assert clean.dtypes.astype(str).to_dict() == {
        "pid": "string",
        "group": "string",
        "right": "Int64",
        "time": "Float64",
        "used": "boolean",
        "day": "datetime64[us]",
    }
    assert clean["pid"].tolist() == ["007", "8", "9"]
    assert clean["group"].tolist() == ["llama3", "control", "llama3"]
    assert clean["right"].tolist() == [1, 0, pd.NA]
    assert clean["time"].tolist() == [1.5, pd.NA, 20.0]
    assert clean["used"].tolist() == [True, False, pd.NA]
    assert clean["day"].isna().tolist() == [False, True, False]
    assert clean["day"].iloc[2] == pd.Timestamp("2024-02-29")


def test_csv_parquet_and_feather_give_identical_frames(tmp_path: Path):
    typed = pd.DataFrame(
        {
            "pid": ["007", "8", "9"],
            "group": [1, 3, 1],
            "right": [1.0, 0.0, np.nan],
            "time": [1.5, np.nan, 20.0],
            "used": pd.array([True, False, None], dtype="boolean"),
            "day": [dt.date(2024, 1, 31), None, dt.date(2024, 2, 29)],
        }
    )
    TEXT.to_csv(tmp_path / "t.csv", index=False)
    typed.to_parquet(tmp_path / "t.parquet")
    typed.to_feather(tmp_path / "t.feather")
    expected = validate(TEXT, TRIAL, name="text")
    for source in ("t.csv", "t.parquet", "t.feather"):
        pd.testing.assert_frame_equal(validate(read_table(tmp_path / source), TRIAL, name=source), expected)
    pd.testing.assert_frame_equal(validate(typed, TRIAL, name="frame"), expected)
    pd.testing.assert_frame_equal(validate(typed.astype(object), TRIAL, name="objects"), expected)
    categories = typed.assign(group=typed["group"].astype("category"), pid=typed["pid"].astype("category"))
    pd.testing.assert_frame_equal(validate(categories, TRIAL, name="categories"), expected)
    pd.testing.assert_frame_equal(validate(expected.assign(), TRIAL, name="again"), expected)


def test_the_frame_given_is_not_modified_and_its_index_is_ignored():
    frame = TEXT.set_axis([9, 9, 4])
    before = frame.copy(deep=True)
    clean = validate(frame, TRIAL, name="t")
    pd.testing.assert_frame_equal(frame, before)
    assert clean.index.tolist() == [0, 1, 2]
    clean.loc[0, "pid"] = "changed"
    pd.testing.assert_frame_equal(frame, before)


def test_all_faults_are_collected_with_column_row_and_value():
    bad = TEXT.assign(
        pid=["007", "", "9"],
        group=["1", "llama", "3"],
        right=["2", "0", "1.0"],
        time=["nan", "-1", "100"],
        used=["yes", "0", ""],
        day=["2024-02-30", "2024-1-1", ""],
    )
    found = [(fault.file, fault.place, fault.row, fault.value) for fault in faults_of(bad, TRIAL)]
    assert found == [
        ("t.csv", "pid", 2, "(withheld)"),
        ("t.csv", "group", 2, "llama"),
        ("t.csv", "right", 1, "2"),
        ("t.csv", "right", 3, "1.0"),
        ("t.csv", "time", 1, "nan"),
        ("t.csv", "time", 2, "-1"),
        ("t.csv", "time", 3, "100"),
        ("t.csv", "used", 1, "yes"),
        ("t.csv", "day", 1, "2024-02-30"),
        ("t.csv", "day", 2, "2024-1-1"),
    ]


def test_the_listing_is_capped_and_the_total_said():
    with pytest.raises(DataError) as caught:
        validate(pd.DataFrame({"x": ["a"] * 1234}), table_of({"name": "x", "type": "integer"}), name="t")
    assert len(caught.value.faults) == 1234
    text = str(caught.value)
    assert text.startswith("1,234 faults:")
    assert text.endswith("and 1,184 more")
    assert text.count("row ") == 50


@pytest.mark.parametrize("kind", ["integer", "number"])
@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "NaN", "0x1F", "1_000", "\u0661", "1,5", "", "12a", "--1"])
def test_what_is_no_number(kind: str, text: str):
    (fault,) = single(kind, text, missingValues=["NA"])
    assert (fault.row, fault.value or "") == (1, text)


@pytest.mark.parametrize("value", [np.inf, 1.5, 2.0**60])
def test_a_stored_number_that_is_no_exact_integer(value: float):
    (fault,) = single("integer", 1.0, value)
    assert fault.row == 2


def test_stored_integers_beyond_64_bits_are_refused():
    (fault,) = faults_of(
        pd.DataFrame({"x": np.array([1, 2**63 + 1], dtype="uint64")}), table_of({"name": "x", "type": "integer"})
    )
    assert fault.value == str(2**63 + 1)


def test_numbers_written_the_other_way():
    field = {"name": "x", "type": "number", "decimalChar": ",", "groupChar": "."}
    clean = validate(pd.DataFrame({"x": ["1.234,5", "-0,25"]}), table_of(field), name="t")
    assert clean["x"].tolist() == [1234.5, -0.25]
    field = {"name": "x", "type": "number", "decimalChar": ","}
    assert faults_of(pd.DataFrame({"x": ["1.5"]}), table_of(field))[0].row == 1


def test_missing_codes_hide_stored_numbers_too():
    table = table_of({"name": "x", "type": "integer", "missingValues": [-99]}, {"name": "y", "type": "number"})
    clean = validate(pd.DataFrame({"x": [-99, 5], "y": [-99.0, np.nan]}), table, name="t")
    assert clean["x"].tolist() == [pd.NA, 5]
    assert clean["y"].tolist() == [-99.0, pd.NA]


def test_times_are_in_utc():
    table = table_of({"name": "x", "type": "datetime"})
    clean = validate(pd.DataFrame({"x": ["2024-01-01T10:00:00+02:00", "2024-01-01 08:00"]}), table, name="t")
    assert clean["x"].tolist() == [pd.Timestamp("2024-01-01 08:00", tz="UTC")] * 2
    stored = pd.DataFrame({"x": pd.to_datetime(["2024-01-01 10:00"] * 2).tz_localize("Europe/Paris")})
    assert validate(stored, table, name="t")["x"].iloc[0] == pd.Timestamp("2024-01-01 09:00", tz="UTC")


def test_dates_in_their_declared_format():
    table = table_of({"name": "x", "type": "date", "format": "%d/%m/%Y", "constraints": {"maximum": "31/12/2024"}})
    assert validate(pd.DataFrame({"x": ["05/02/2024"]}), table, name="t")["x"].iloc[0] == pd.Timestamp("2024-02-05")
    assert [fault.row for fault in faults_of(pd.DataFrame({"x": ["2024-02-05", "01/01/2025"]}), table)] == [1, 2]


def test_blanks_around_a_value_are_named_and_not_removed():
    faults = single("integer", " 1", "x ", "1")
    assert [(fault.row, "blanks" in fault.what) for fault in faults] == [(1, True), (2, False)]
    (fault,) = single("string", "AB ", "AB", constraints={"pattern": "[A-Z]{2}", "enum": ["AB"]})
    assert "blanks" in fault.what
    (fault,) = single("integer", "control ", levels=LEVELS, role="arm")
    assert "blanks" in fault.what
    clean = validate(pd.DataFrame({"x": [" a"]}), table_of({"name": "x", "type": "string"}), name="t")
    assert clean["x"].tolist() == [" a"]


@pytest.mark.parametrize(
    ("constraints", "values", "rows"),
    [
        ({"required": True}, ["a", None, ""], [2, 3]),
        ({"unique": True}, ["a", "b", "a", None, None], [3]),
        ({"pattern": "a|b"}, ["a", "ab", "b\n"], [2, 3]),
        ({"pattern": "(a+)+"}, ["a" * 5000 + "!"], [1]),
        ({"minLength": 2, "maxLength": 3}, ["é", "éé", "abcd"], [1, 3]),
        ({"enum": ["a", "b"]}, ["a", "A", None], [2]),
    ],
)
def test_constraints_on_text(constraints, values, rows):
    assert [fault.row for fault in single("string", *values, constraints=constraints)] == rows


def test_sensitive_values_and_texts_are_withheld():
    mark = "MRN-12345"
    table = table_of(
        {"name": "a", "type": "integer", "sensitive": True},
        {"name": "b", "type": "string", "role": "text", "constraints": {"maxLength": 3}},
        {"name": "c", "levels": [{"value": "MRN-12346"}], "sensitive": True},
        {"name": "d"},
        primaryKey=["a", "d"],
        foreignKeys=[{"fields": "b", "reference": {"resource": "items", "fields": "v"}}],
    )
    frame = pd.DataFrame({"a": ["1", mark, "1"], "b": [mark] * 3, "c": [mark] * 3, "d": ["x", mark, "x"]})
    with pytest.raises(DataError) as caught:
        validate(frame, table, name="t", others={"items": pd.DataFrame({"v": ["x"]})})
    faults = caught.value.faults
    assert mark not in repr(faults)
    assert mark not in str(caught.value)
    assert {fault.value for fault in faults} == {"(withheld)"}
    assert {fault.place for fault in faults} == {"a", "a, d", "b", "c"}
    assert not any("Did you mean" in fault.allowed for fault in faults)


def test_absent_columns_are_faults_with_a_guess():
    faults = faults_of(TEXT.rename(columns={"group": "grop"}).drop(columns="day"), TRIAL)
    assert [fault.place for fault in faults] == ["group", "day"]
    assert "'grop'" in faults[0].allowed
    assert "Did you mean" not in faults[1].allowed


def test_columns_outside_the_dictionary_are_left_out():
    clean = validate(TEXT[[*reversed(TEXT.columns)]].assign(extra=1), TRIAL, name="t")
    assert list(clean.columns) == list(TEXT.columns)


def test_two_columns_of_one_name_are_refused():
    frame = pd.DataFrame([["1", "2"]], columns=["x", "x"])
    assert "same name" in faults_of(frame, table_of({"name": "x"}))[0].what


def test_levels_of_a_score_document_its_values():
    levels = [{"value": 1, "label": "correct"}, {"value": 0, "label": "wrong"}]
    table = table_of({"name": "x", "type": "integer", "role": "score", "levels": levels})
    assert validate(pd.DataFrame({"x": ["correct", "0", None]}), table, name="t")["x"].tolist() == [1, 0, pd.NA]


@pytest.mark.parametrize(
    ("role", "kind", "values", "rows"),
    [
        ("score", "number", ["0", "1", "1.01", "-0.1"], [3, 4]),
        ("count", "integer", ["0", "3", "-1", ""], [3, 4]),
        ("label_probability", "number", ["0", "1", "0.5", "1.5"], [1, 4]),
        ("used", "integer", ["0", "1", "2"], [3]),
    ],
)
def test_roles_limit_values(role, kind, values, rows):
    assert [fault.row for fault in single(kind, *values, role=role)] == rows


def test_successes_lie_within_trials():
    table = table_of(
        {"name": "k", "type": "integer", "role": "successes"}, {"name": "m", "type": "integer", "role": "trials"}
    )
    frame = pd.DataFrame({"k": ["3", "4", "", "", "x"], "m": ["3", "3", "2", "", "1"]})
    gaps = Table.model_validate({"fields": [*table.fields, {"name": "note"}]})
    assert len(faults_of(frame.assign(note=None), gaps)) == 3
    faults = faults_of(frame, table)
    assert [(fault.place, fault.row, fault.value) for fault in faults] == [
        ("k, m", 2, "4, 3"),
        ("k, m", 3, ", 2"),
        ("k", 5, "x"),
    ]


def test_primary_keys_are_present_and_unique():
    table = table_of({"name": "a"}, {"name": "b"}, primaryKey=["a", "b"])
    frame = pd.DataFrame({"a": ["1", "1", "1", ""], "b": ["1", "2", "1", ""]})
    assert [(fault.place, fault.row) for fault in faults_of(frame, table)] == [("a, b", 3), ("a", 4), ("b", 4)]
    unique = table_of({"name": "a"}, {"name": "b"}, uniqueKeys=[["a", "b"]])
    assert [(fault.place, fault.row) for fault in faults_of(frame, unique)] == [("a, b", 3)]


def test_foreign_keys_meet_across_types_and_spellings():
    key = {"fields": ["g", "v"], "reference": {"resource": "items", "fields": ["arm", "item"]}}
    table = table_of({"name": "g", "levels": LEVELS}, {"name": "v", "type": "string"}, foreignKeys=[key])
    items = pd.DataFrame({"arm": [1, 3], "item": [10.0, 20.0]}, index=[7, 7])
    frame = pd.DataFrame({"g": ["llama3", "control", "3", None], "v": ["10", "20", "10", "99"]})
    (fault,) = faults_of(frame, table, others={"items": items})
    assert (fault.place, fault.row, fault.value) == ("g, v", 3, "3, 10")
    assert len(validate(frame, table, name="t")) == 4
    (fault,) = faults_of(frame.head(1), table, others={"items": items.drop(columns="item")})
    assert "lacks the column 'item'" in fault.what


def test_a_foreign_key_may_point_to_its_own_table():
    key = {"fields": "parent", "reference": {"fields": "id"}}
    table = table_of({"name": "id", "type": "integer"}, {"name": "parent", "type": "integer"}, foreignKeys=[key])
    faults = faults_of(pd.DataFrame({"id": ["1", "2", "3"], "parent": ["", "1", "4"]}), table)
    assert [(fault.row, fault.value) for fault in faults] == [(3, "4")]


def test_values_that_are_not_single_are_refused():
    assert [fault.row for fault in single("string", "a", ["b"], b"c", "\ud800")] == [2, 3, 4]


def test_roles_without_a_dictionary():
    frame = pd.DataFrame({"participant": [1, 2], "arm": ["a", "b"], "decision": ["0.5", ""], "note": ["1", "NA"]})
    clean = validate(frame, implied_table(frame.columns, {"decision": "decision"}), name="t")
    assert clean["participant"].tolist() == ["1", "2"]
    assert clean["decision"].tolist() == [0.5, pd.NA]
    assert clean["note"].tolist() == ["1", "NA"]
    stored = frame.assign(decision=[True, False])
    assert validate(stored, implied_table(frame.columns, {"decision": "decision"}), name="t")["decision"].sum() == 1.0


def test_an_empty_frame_is_valid():
    clean = validate(TEXT.head(0), TRIAL, name="t")
    assert clean.shape == (0, 6)
    assert clean["right"].dtype == "Int64"


@pytest.mark.parametrize(
    "setting", [{"validation_enabled": False}, {"validation_depth": ValidationDepth.SCHEMA_ONLY}], ids=str
)
def test_validation_cannot_be_switched_off_from_outside(setting):
    with config_context(**setting):
        assert len(single("integer", "2", role="score")) == 1


def test_rows_are_found_by_value_label_or_alias():
    clean = validate(TEXT, TRIAL, name="t")
    for value in (1, "1", "llama3", "Llama 3 70B"):
        assert rows_where(clean, TRIAL, {"group": value}).tolist() == [True, False, True]
    assert rows_where(clean, TRIAL, {"group": 1, "used": True}).tolist() == [True, False, False]
    assert rows_where(clean, TRIAL, {"time": "1.50"}).tolist() == [True, False, False]
    assert rows_where(clean, TRIAL, {"day": dt.date(2024, 1, 31)}).tolist() == [True, False, False]
    assert not rows_where(clean, TRIAL, {"group": "nobody"}).any()
    with pytest.raises(DictionaryError):
        rows_where(clean, TRIAL, {"grop": 1})


ROWS = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
        st.integers(-(10**17), 10**17) | st.none(),
        st.floats(allow_nan=False, allow_infinity=False) | st.none(),
        st.booleans() | st.none(),
        st.sampled_from(["1", "3", "llama3", "control", "Llama 3 70B", ""]),
    ),
    min_size=1,
    max_size=20,
)
MIXED = table_of(
    {"name": "s", "type": "string"},
    {"name": "i", "type": "integer"},
    {"name": "x", "type": "number"},
    {"name": "b", "type": "boolean"},
    {"name": "g", "levels": LEVELS},
)


def as_strings(rows) -> pd.DataFrame:
    cells = [[s, *("" if v is None else repr(v) for v in (i, x, b)), g] for s, i, x, b, g in rows]
    return pd.DataFrame(cells, columns=list(MIXED.names), dtype="string")


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_valid_values_round_trip(rows):
    clean = validate(as_strings(rows), MIXED, name="t")
    labels = {"1": "llama3", "Llama 3 70B": "llama3", "3": "control"}
    for (s, i, x, b, g), found in zip(rows, clean.astype(object).itertuples(index=False), strict=True):
        expected = (None if s in {"", "NA"} else s, i, x, b, labels.get(g, g) or None)
        assert tuple(None if value is pd.NA else value for value in found) == expected


@settings(max_examples=30, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_permuting_rows_permutes_the_result(rows, random):
    order = random.sample(range(len(rows)), len(rows))
    frame = as_strings(rows)
    shuffled = validate(frame.iloc[order], MIXED, name="t")
    expected = validate(frame, MIXED, name="t").iloc[order].reset_index(drop=True)
    pd.testing.assert_frame_equal(shuffled, expected)
