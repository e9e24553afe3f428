"""Which cases are drawn for labelling, the blinded sheet, and its way back."""

import csv
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rctgap.errors import AnalysisError, DataError, OutputError, RctgapWarning
from rctgap.labelling import (
    LABEL_COLUMNS,
    SHEET_COLUMNS,
    key_beside,
    labelling_plan,
    neutral,
    one_label_each,
    read_sheet,
    refuse_sheet,
    restored,
    strata_of,
    write_sheet,
)

TEXTS = (
    "You should see a doctor.",
    "=HYPERLINK(1)",
    "'quoted",
    'a "b", c\nd',
    "naïve ünïcode",
    "+1",
    "-",
    "@x",
    "\tx",
)


@pytest.mark.parametrize(
    ("sizes", "size", "drawn"),
    [
        ([10, 10], 6, [3, 3]),
        ([10, 10], 7, [3, 4]),
        ([1, 10, 50], 12, [1, 5, 6]),
        ([3, 3, 100], 100, [3, 3, 94]),
        ([2, 5], 7, [2, 5]),
        ([1, 1, 30], 4, [1, 1, 2]),
    ],
)
def test_draws_are_as_equal_as_the_strata_allow(sizes, size, drawn):
    names = np.repeat([f"s{n}" for n in range(len(sizes))], sizes)
    plan = labelling_plan(pd.Series(names), size, seed=3)
    assert plan.strata["drawn"].tolist() == drawn
    assert plan.drawn.groupby(names).sum().tolist() == drawn
    assert plan.probability.groupby(names).first().tolist() == [n / s for n, s in zip(drawn, sizes, strict=True)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 4), st.data())
def test_every_plan_is_exact_and_leaves_nobody_out(sizes, smallest, data):
    least = sum(min(one, smallest) for one in sizes)
    size = data.draw(st.integers(least, sum(sizes)))
    names = pd.Series(np.repeat([f"s{n}" for n in range(len(sizes))], sizes))
    plan = labelling_plan(names, size, seed=1, smallest=smallest)
    assert plan.drawn.sum() == size
    assert ((plan.probability > 0) & (plan.probability <= 1)).all()
    assert (plan.strata["drawn"] >= np.minimum(plan.strata["cases"], smallest)).all()
    room = plan.strata[plan.strata["drawn"] < plan.strata["cases"]]
    assert (room["drawn"] >= plan.strata["drawn"].max() - 1).all()
    by_labels = (plan.drawn / plan.probability).groupby(names).sum()
    np.testing.assert_allclose(by_labels.to_numpy(), plan.strata["cases"].to_numpy())


def test_each_case_is_drawn_as_often_as_its_probability_says():
    names = pd.Series(["a"] * 4 + ["b"] * 10)
    times = sum(labelling_plan(names, 5, seed).drawn.astype(int) for seed in range(1000)) / 1000
    expected = labelling_plan(names, 5, 0).probability
    assert (times - expected).abs().max() < 4.5 * np.sqrt(0.25 / 1000)


def test_a_plan_repeats_and_another_seed_differs():
    names = pd.Series(["a"] * 50, index=[f"c{n}" for n in range(50)])
    first, again, other = (labelling_plan(names, 20, seed) for seed in (1, 1, 2))
    assert first.drawn.equals(again.drawn)
    assert not first.drawn.equals(other.drawn)
    assert first.drawn.index.equals(names.index)


def test_strata_keep_scored_right_and_wrong_apart():
    stage, arm = pd.Series(["conversation"] * 3), pd.Series(["a1", "a1", "a2"])
    assert strata_of(stage, arm, pd.Series([1.0, 0.0, 0.3])).tolist() == [
        "conversation, a1, scored right",
        "conversation, a1, scored wrong",
        "conversation, a2, scored in part",
    ]


@pytest.mark.parametrize(("size", "least"), [(3, "at least 4"), (41, "at most 40"), (0, "at least 4")])
def test_too_few_or_too_many_draws_are_refused(size, least):
    with pytest.raises(AnalysisError, match=least):
        labelling_plan(pd.Series(["a"] * 20 + ["b"] * 20), size, seed=1)


def test_cases_without_stratum_named_twice_or_absent_are_refused():
    with pytest.raises(DataError, match="no stratum") as caught:
        labelling_plan(pd.Series(["a", None]), 1, seed=1)
    assert caught.value.faults[0].row == 2
    with pytest.raises(DataError, match="twice"):
        labelling_plan(pd.Series(["a", "a"], index=[1, 1]), 1, seed=1)
    with pytest.raises(DataError, match="no case"):
        labelling_plan(pd.Series([], dtype=object), 1, seed=1)


def cases(size=40):
    """Cases of two arms; the arm, the score and the participant are in columns that no rater may see."""
    frame = pd.DataFrame(
        {
            "case": [f"case/{n}" for n in range(size)],
            "stage": np.where(np.arange(size) % 2, "conversation", "own_query"),
            "digest": [f"{n:016x}" for n in range(size)],
            "instruction": "Is any of the key's conditions named?",
            "question": "What may it be?",
            "key": "gallstones",
            "text": [TEXTS[n % len(TEXTS)] + f" {n}" for n in range(size)],
            "arm": np.where(np.arange(size) < size // 2, "armalpha", "armbeta"),
            "automatic": np.arange(size) % 3 == 0,
            "participant": [f"person{n}" for n in range(size)],
        },
        index=[f"i{n}" for n in range(size)],
    )
    plan = labelling_plan(strata_of(frame["stage"], frame["arm"], frame["automatic"].astype(float)), 24, seed=5)
    return frame, plan


def written(tmp_path, seed=8):
    frame, plan = cases()
    path = tmp_path / "labels.csv"
    write_sheet(path, frame, plan, seed)
    return frame, plan, path


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill(path, name, labels, rater=None):
    """A copy of the sheet with labels by id, as a spreadsheet saves it: quotes only where needed, CRLF."""
    copy = path.with_name(name)
    with copy.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, SHEET_COLUMNS)
        writer.writeheader()
        for row in rows_of(path):
            writer.writerow(row | {"label": labels(row)} | ({"rater": rater} if rater else {}))
    return copy


def test_the_sheet_is_blind_and_the_key_has_no_text(tmp_path):
    frame, plan, path = written(tmp_path)
    sheet, key = path.read_text("utf-8-sig"), key_beside(path).read_text("utf-8-sig")
    assert len(rows_of(path)) == len(rows_of(key_beside(path))) == 24
    for hidden in ("armalpha", "armbeta", "person", "case/", "own_query", "conversation", "scored", "True", "False"):
        assert hidden not in sheet
    for told in ("doctor", "HYPERLINK", "gallstones", "arm", "person"):
        assert told not in key
    shown = {restored(row["text"]) for row in rows_of(path)}
    assert shown == set(frame["text"][plan.drawn])


def test_order_and_ids_tell_nothing(tmp_path):
    frame, _, path = written(tmp_path)
    order = [row["case"] for row in rows_of(key_beside(path))]
    place = {case: n for n, case in enumerate(frame["case"])}
    ranks = [place[case] for case in order]
    assert ranks != sorted(ranks)
    assert [row["id"] for row in rows_of(path)] == [row["id"] for row in rows_of(key_beside(path))]
    assert [row["id"][5:] for row in rows_of(path)] == [f"{n:05d}" for n in range(1, 25)]
    other = tmp_path / "other"
    other.mkdir()
    assert rows_of(written(other, seed=9)[2])[0]["id"] != rows_of(path)[0]["id"]


def test_no_cell_is_a_formula(tmp_path):
    _, _, path = written(tmp_path)
    for file in (path, key_beside(path)):
        for row in rows_of(file):
            assert not [cell for cell in row.values() if cell.lstrip().startswith(("=", "+", "-", "@"))]
            assert not [cell for cell in row.values() if cell.startswith(("\t", "\r"))]


@given(st.text())
def test_neutral_cells_come_back_whole(text):
    assert restored(neutral(text)) == text
    assert not neutral(text).lstrip().startswith(("=", "+", "-", "@"))


def test_what_utf8_cannot_hold_is_replaced(tmp_path):
    frame, plan = cases()
    frame["text"] = pd.Series(["a\0b \ud800 c"] * len(frame), frame.index, dtype=object)
    write_sheet(tmp_path / "s.csv", frame, plan, 1)
    assert {row["text"] for row in rows_of(tmp_path / "s.csv")} == {"a\ufffdb ? c"}
    assert len(read_sheet(fill(tmp_path / "s.csv", "done.csv", lambda _: "1"), tmp_path / "s.key.csv")) == 24


def test_labels_come_back_to_their_cases(tmp_path):
    frame, plan, path = written(tmp_path)
    wanted = {text: f"{n % 5 / 4:g}" for n, text in enumerate(frame["text"])}
    done = fill(path, "anna.csv", lambda row: f" {wanted[restored(row['text'])]} ")
    found = read_sheet(done, key_beside(path))
    assert tuple(found.columns) == LABEL_COLUMNS
    assert set(found["rater"]) == {"anna"}
    drawn = frame[plan.drawn].set_index("case")
    assert set(found["case"]) == set(drawn.index)
    for row in found.itertuples():
        assert row.label == float(wanted[drawn["text"][row.case]])
        assert row.stage == drawn["stage"][row.case]
        assert row.digest == drawn["digest"][row.case]
        assert row.label_probability == plan.probability[frame.index[frame["case"] == row.case][0]]


def test_several_raters_by_file_or_column(tmp_path):
    _, _, path = written(tmp_path)
    anna, ben = fill(path, "anna.csv", lambda _: "1"), fill(path, "x.csv", lambda _: "0", rater="ben")
    found = read_sheet([anna, ben], key_beside(path))
    assert Counter(found["rater"]) == {"anna": 24, "ben": 24}
    each = one_label_each(found)
    assert len(each) == 24
    assert set(each["label"]) == {0.5}
    assert set(each["raters"]) == {2}


def test_raters_may_share_the_cases(tmp_path):
    _, _, path = written(tmp_path)
    odd = fill(path, "anna.csv", lambda row: "1" if int(row["id"][-1]) % 2 else "")
    even = fill(path, "ben.csv", lambda row: "" if int(row["id"][-1]) % 2 else "0")
    assert Counter(read_sheet([odd, even], key_beside(path))["rater"]) == {"anna": 12, "ben": 12}


def test_a_drawn_case_without_label_is_refused_or_told(tmp_path):
    _, _, path = written(tmp_path)
    blank = rows_of(path)[3]["id"]
    done = fill(path, "anna.csv", lambda row: "" if row["id"] == blank else "1")
    with pytest.raises(DataError, match="drawn case has no label") as caught:
        read_sheet(done, key_beside(path))
    assert [fault.value for fault in caught.value.faults] == [blank]
    with pytest.warns(RctgapWarning, match="1 of 24 drawn cases have no label"):
        found = read_sheet(done, key_beside(path), allow_blank=True)
    assert len(found) == 23
    key = pd.read_csv(key_beside(path))
    hit = key.loc[key["id"] == blank, "stratum"].iloc[0]
    drawn = int((key["stratum"] == hit).sum())
    tied = found.merge(key, on="case")
    changed = tied["stratum"] == hit
    np.testing.assert_allclose(
        tied.loc[changed, "label_probability"], tied.loc[changed, "probability"] * (drawn - 1) / drawn
    )
    np.testing.assert_allclose(tied.loc[~changed, "label_probability"], tied.loc[~changed, "probability"])


def test_every_bad_row_is_named(tmp_path):
    _, _, path = written(tmp_path)
    ids = [row["id"] for row in rows_of(path)]
    labels = {ids[0]: "2", ids[1]: "yes", ids[2]: "-0.1", ids[3]: "nan", ids[4]: "it names the right one"}
    done = fill(path, "anna.csv", lambda row: labels.get(row["id"], "1"))
    with done.open("a", encoding="utf-8") as file:
        file.write("ZZZZ-00001,,,,,1,\n")
    with pytest.raises(DataError) as caught:
        read_sheet(done, key_beside(path))
    told = {(fault.place, fault.row, fault.value) for fault in caught.value.faults}
    assert told == {
        ("label", 1, "2"),
        ("label", 2, "yes"),
        ("label", 3, "-0.1"),
        ("label", 4, "nan"),
        ("label", 5, None),
        ("id", 25, "ZZZZ-00001"),
    }
    assert all(fault.file == str(done) for fault in caught.value.faults)


def test_a_case_labelled_twice_by_one_rater_is_refused(tmp_path):
    _, _, path = written(tmp_path)
    done = fill(path, "anna.csv", lambda _: "1")
    with done.open("a", encoding="utf-8") as file:
        file.write(f"{rows_of(path)[0]['id']},,,,,0,\n")
    with pytest.raises(DataError, match="labelled twice") as caught:
        read_sheet(done, key_beside(path))
    assert caught.value.faults[0].row == 25


def test_a_damaged_key_or_a_sheet_without_columns_is_refused(tmp_path):
    _, _, path = written(tmp_path)
    done = fill(path, "anna.csv", lambda _: "1")
    key = key_beside(path)
    bad = tmp_path / "bad.key.csv"
    bad.write_text(key.read_text("utf-8-sig").replace("probability", "chance"), "utf-8")
    with pytest.raises(DataError, match="no column probability"):
        read_sheet(done, bad)
    frame = pd.read_csv(key, dtype=str)
    frame.assign(probability="0").to_csv(bad, index=False)
    with pytest.raises(DataError, match="probability is not as written"):
        read_sheet(done, bad)
    bare = tmp_path / "bare.csv"
    bare.write_text("number,label\n1,1\n")
    with pytest.raises(DataError, match="no column id"):
        read_sheet(bare, key)


def test_nothing_is_written_over(tmp_path):
    frame, plan, path = written(tmp_path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="there already"):
        write_sheet(path, frame, plan, 1)
    assert path.read_bytes() == before
    with pytest.raises(OutputError, match="no such folder"):
        write_sheet(tmp_path / "none" / "s.csv", frame, plan, 1)
    with pytest.raises(OutputError, match="one name"):
        refuse_sheet(tmp_path / "new.csv", tmp_path / "new.key.csv")


def test_cases_that_do_not_fit_are_refused(tmp_path):
    frame, plan = cases()
    with pytest.raises(DataError, match="no column key, text"):
        write_sheet(tmp_path / "s.csv", frame.drop(columns=["key", "text"]), plan, 1)
    with pytest.raises(DataError, match="not those of the plan"):
        write_sheet(tmp_path / "s.csv", frame.iloc[::-1], plan, 1)
    row = int(np.flatnonzero(plan.drawn)[0])
    frame.loc[frame.index[row], "text"] = "x" * 40_000
    with pytest.raises(DataError, match="too long") as caught:
        write_sheet(tmp_path / "s.csv", frame, plan, 1)
    assert caught.value.faults[0].value == f"case/{row}"
    assert not list(tmp_path.iterdir())


def test_a_plan_shows_no_cases():
    _, plan = cases()
    assert "i1" not in repr(plan)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.text(max_size=30), min_size=6, max_size=6))
def test_any_text_survives_the_sheet(tmp_path_factory, texts):
    frame = cases()[0].iloc[:6].assign(text=texts)
    plan = labelling_plan(pd.Series("one", index=frame.index), 6, seed=1)
    path = tmp_path_factory.mktemp("sheet") / "s.csv"
    write_sheet(path, frame, plan, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = rows_of(path)
    key = {row["id"]: restored(row["case"]) for row in rows_of(key_beside(path))}
    given_texts = dict(zip(frame["case"], texts, strict=True))
    for row in found:
        assert restored(row["text"]) == given_texts[key[row["id"]]].replace("\0", "\ufffd")
    assert len(read_sheet(fill(path, "done.csv", lambda _: "0"), key_beside(path))) == 6
