"""Result folders: round trips, refusals, and writes that fail half way."""

import json
import os
from dataclasses import replace

import pytest

import rctgap as rg
from rctgap.checks import checked
from rctgap.errors import OutputError
from rctgap.export import load_manifest, write_result
from rctgap.result_folders import RESULT_SCHEMA, RESULTS_SCHEMA, SYNTHESIS_SCHEMA, replacing


@pytest.fixture(scope="module")
def result(study):
    frame = study.simulated(people=40, rates=(0.8, 0.5, 0.5))
    frame.loc[frame.index[:7], "conversation"] = float("nan")
    return checked(study.decomposed(frame, study.benchmark(right=4), companions=True))


@pytest.fixture
def folder(result, tmp_path):
    return rg.save(result, tmp_path / "out")


def test_what_is_loaded_is_what_was_saved(result, folder):
    loaded = rg.load(folder)
    assert loaded == result
    assert loaded.estimates is None
    assert rg.run_checks(loaded) == result.checks


def test_saving_a_loaded_result_changes_no_byte(folder, tmp_path):
    again = rg.save(rg.load(folder), tmp_path / "again")
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert all((folder / name).read_bytes() == (again / name).read_bytes() for name in names)


def test_a_suppressed_result_loads_as_it_was_written(study, tmp_path):
    hidden = study.decomposed(study.simulated(people=5), study.benchmark(), suppress_below=5, companions=True)
    with replacing(tmp_path / "out") as place:
        shown = write_result(hidden, place)
    assert rg.load(tmp_path / "out") == shown
    assert shown != checked(hidden)


def test_every_file_is_there_and_in_strict_json(folder):
    def refuse(name):
        raise AssertionError(name)

    document = json.loads((folder / "result.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert (document["schema"], document["final"]) == (RESULT_SCHEMA, True)
    assert sorted(path.name for path in folder.iterdir()) == [
        "assumptions.csv",
        "attrition.csv",
        "bias_curve.csv",
        "checks.csv",
        "components.csv",
        "effects.csv",
        "leave_one_out.csv",
        "manifest.json",
        "missing.csv",
        "orders.csv",
        "predictions.csv",
        "result.json",
        "shares.csv",
        "staged.csv",
        "stages.csv",
        "stages_other.csv",
        "tests.csv",
    ]


def test_csv_holds_the_numbers_in_full(folder, result):
    import pandas as pd  # noqa: PLC0415 - this test alone

    table = pd.read_csv(folder / "components.csv", keep_default_na=False, dtype=str)
    assert list(table.columns) == list(result.tidy().columns)
    for written, row in zip(table.itertuples(), (*result.components, *result.alternatives), strict=True):
        assert written.estimate == ("" if row.estimate is None else repr(float(row.estimate)))
        assert written.note == row.note


def test_an_older_result_is_replaced_as_a_whole(folder, result):
    (folder / "report.html").write_text("old")
    rg.save(replace(result, title="newer"), folder)
    assert not (folder / "report.html").exists()
    assert rg.load(folder).title == "newer"
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


def test_an_empty_folder_is_used(result, tmp_path):
    (tmp_path / "empty").mkdir()
    assert rg.load(rg.save(result, tmp_path / "empty")) == result


@pytest.mark.parametrize("content", [None, "{}", '{"schema": "other/result/1"}', "[]", "{", "\udcff"])
def test_a_foreign_folder_is_refused_and_left_alone(result, tmp_path, content):
    target = tmp_path / "mine"
    target.mkdir()
    (target / "thesis.txt").write_text("keep")
    if content is not None:
        (target / "result.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(OutputError):
        rg.save(result, target)
    assert (target / "thesis.txt").read_text() == "keep"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_is_refused(result, tmp_path):
    (tmp_path / "out").write_text("keep")
    with pytest.raises(OutputError, match="this is a file"):
        rg.save(result, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "keep"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_result_and_no_stray_folder(folder, result, error):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def interrupted():
        with replacing(folder) as place:
            write_result(replace(result, title="half"), place)
            (place / "figures").mkdir()
            raise error

    with pytest.raises(error):
        interrupted()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


def test_an_interrupted_first_write_leaves_nothing(result, tmp_path):
    with pytest.raises(RuntimeError), replacing(tmp_path / "new" / "out"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_swap_that_fails_restores_the_old_result(folder, result, monkeypatch):
    rename, calls = type(folder).rename, []

    def fail_once(self, target):
        calls.append(self)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(type(folder), "rename", fail_once)
    with pytest.raises(OSError, match="No space left"):
        rg.save(replace(result, title="newer"), folder)
    monkeypatch.undo()
    assert rg.load(folder) == result
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_said(result, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot write there"):
        rg.save(result, tmp_path / "locked" / "out")


def damage(folder, change):
    path = folder / "result.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.pop("settings"),
        lambda one: one["components"][0].pop("estimate"),
        lambda one: one["components"][0].update(estimate="many"),
        lambda one: one["settings"].update(level=None),
        lambda one: one.update(stages={"a": 1}),
        lambda one: one.update(warnings=None),
        lambda one: one["checks"][0].update(status="perhaps"),
        lambda one: one["components"][0].update(std_error=-0.1),
        lambda one: one["stages"][0].update(lower=0.9, upper=0.1),
    ],
)
def test_a_damaged_result_is_refused_in_one_line(folder, change):
    damage(folder, change)
    with pytest.raises(OutputError, match="the result is damaged") as caught:
        rg.load(folder)
    assert "\n" not in str(caught.value)


def test_other_things_than_results_are_refused(folder, tmp_path):
    with pytest.raises(OutputError, match="no result here"):
        rg.load(tmp_path / "nowhere")
    damage(folder, lambda one: one.update(schema="rctgap/result/9"))
    with pytest.raises(OutputError, match="rctgap/result/1"):
        rg.load(folder)
    (folder / "result.json").write_text("{")
    with pytest.raises(OutputError, match="damaged"):
        rg.load(folder)


def test_a_folder_of_results_may_be_replaced(result, tmp_path):
    with replacing(tmp_path / "all", "results") as place:
        results_folder(place, result)
    with replacing(tmp_path / "all", "results") as place:
        (place / "index.json").write_text(json.dumps({"schema": RESULTS_SCHEMA, "results": []}))
    assert json.loads((tmp_path / "all" / "index.json").read_text())["results"] == []


def results_folder(place, result):
    (place / "index.json").write_text(json.dumps({"schema": RESULTS_SCHEMA, "results": ["one"]}))
    (place / "one").mkdir()
    write_result(result, place / "one")


def synthesis_folder(place, result):
    (place / "synthesis.json").write_text(json.dumps({"schema": SYNTHESIS_SCHEMA}))


FOLDERS = {
    "result": lambda place, result: write_result(result, place),
    "results": results_folder,
    "synthesis": synthesis_folder,
}


@pytest.mark.parametrize("writes", [*FOLDERS, "study"])
@pytest.mark.parametrize("held", FOLDERS)
def test_only_a_folder_of_the_same_kind_is_replaced(held, writes, result, tmp_path):
    with replacing(tmp_path / "out", held) as place:
        FOLDERS[held](place, result)
    before = sorted(path.name for path in (tmp_path / "out").rglob("*"))
    if held == writes:
        with replacing(tmp_path / "out", writes):
            pass
        assert list((tmp_path / "out").iterdir()) == []
        return
    with pytest.raises(OutputError, match="would take its place"), replacing(tmp_path / "out", writes):
        raise AssertionError("entered")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == before


def test_a_users_own_file_in_a_result_folder_is_not_lost(result, tmp_path):
    rg.save(result, tmp_path / "out")
    (tmp_path / "out" / "my notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"my notes\.txt"):
        rg.save(result, tmp_path / "out")
    assert (tmp_path / "out" / "my notes.txt").read_text() == "mine"


def test_a_manifest_is_optional_and_is_made_from_what_is_shown(result, tmp_path):
    with replacing(tmp_path / "out") as place:
        write_result(result, place, manifest=lambda shown: {"seed": 1, "title": shown.title})
    assert load_manifest(tmp_path / "out") == {"seed": 1, "title": result.title}
    assert load_manifest(tmp_path) == {}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"inputs": 5}, "inputs"),
        ({"inputs": [5]}, "inputs.0"),
        ({"inputs": [{"role": "trial", "file": "t.csv", "sha256": 7}]}, "inputs.0.sha256"),
        ({"analysis": {"estimand": "fixed"}}, "analysis.estimand"),
    ],
)
def test_a_damaged_manifest_is_refused_by_file_and_place(content, place, result, tmp_path):
    folder = rg.save(result, tmp_path / "out")
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(OutputError, match="the manifest is damaged") as caught:
        load_manifest(folder)
    assert "manifest.json" in str(caught.value)
    assert place in str(caught.value)
