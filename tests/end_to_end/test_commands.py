"""The commands from a user's seat: forms of input, files of output, exit codes, and the same bytes every time."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

OUT = ("decompose", "analysis.yaml", "--out", "out")
TABLES = ("trial", "runs", "items")

COLUMNS = {
    "components.csv": (
        "arm quantity kind family assumption_ids estimate std_error df lower upper level interval method estimator "
        "covariance small_sample items item_weights arm_weights scores share_of_gap lost gained lost_count "
        "gained_count n clusters note"
    ),
    "shares.csv": "arm quantity estimate method set_type lower upper level denominator",
    "stages.csv": "arm stage system estimate std_error lower upper level interval method n",
    "checks.csv": "check status assumption_ids detail",
    "assumptions.csv": (
        "assumption_id question declared_answer declared_holds status joint_with estimate lower upper evidence"
    ),
    "attrition.csv": "step arm n_in n_out reason",
}
KEY = ["arm", "quantity", "method", "estimator", "covariance", "items", "item_weights", "scores"]
WORDS = {
    "components.csv": {
        "kind": {"component", "family", "gap", "effect", "conditional"},
        "family": {"", "task", "outcome"},
        "interval": {"", "t", "normal", "wilson", "mover", "population", "betting"},
        "method": {"frequentist"},
        "items": {"fixed", "random"},
    },
    "shares.csv": {
        "method": {"fieller", "delta", "inversion", "betting"},
        "set_type": {"", "bounded", "unbounded", "exclusive"},
        "denominator": {"gap"},
    },
    "stages.csv": {"interval": {"", "t", "normal", "wilson", "mover"}, "method": {"frequentist"}},
    "checks.csv": {"status": {"pass", "fail", "warning", "not_applicable"}},
    "assumptions.csv": {"status": {"holds", "violated", "inconclusive", "untested", "not_testable"}},
}
QUANTITIES = [
    *("own_query", "conversation", "decision", "task", "outcome", "gap", "item_mix", "predicted_effect"),
    *("predicted_effect_after_own_query", "predicted_effect_after_conversation", "realized_effect"),
    *("uptake", "self_rescue"),
]


def components(folder):
    return (folder / "components.csv").read_bytes()


def records(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def refuse(constant):
    raise ValueError(constant)


def strict(path):
    """Read strict JSON: no NaN, no infinity, no key twice."""

    def once(pairs):
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse, object_pairs_hook=once)


def two_systems(study, *, consent):
    """The conversation is held with another system than the one that the benchmark tested."""

    def change(content):
        content["stages"][1]["system"] = {"value": "a1"}
        content["stages"][2]["system"] = {"value": "a2"}
        content["stages"][3]["system"] = {"value": "a2"}
        content["allow_mixed_systems"] = consent

    study.edit("analysis.yaml", change)


@pytest.fixture(scope="module")
def made(tmp_path_factory, e2e):
    """One good result, made once and only looked at."""
    study = e2e.Study(tmp_path_factory.mktemp("made") / "study")
    e2e.done("decompose", study / "analysis.yaml", "--out", study / "out")
    return study / "out"


# the same numbers from every form of the same data


def typed(study, name):
    """Columns with their own types, as another program would store them."""
    return pd.read_csv(study / f"{name}.csv", encoding="utf-8-sig").convert_dtypes()


def stored(study, suffix):
    write = {
        "parquet": lambda frame, path: frame.to_parquet(path),
        "feather": lambda frame, path: frame.to_feather(path),
    }
    for name in TABLES:
        write[suffix](typed(study, name), study / f"{name}.{suffix}")
        (study / f"{name}.csv").unlink()
    names = {"trial": f"trial.{suffix}", "benchmark": f"runs.{suffix}", "items": f"items.{suffix}"}
    study.edit("analysis.yaml", lambda content: content.update(data=names))


def everywhere(change):
    def form(study):
        for path in sorted(study.folder.glob("*.*")):
            before = path.read_bytes()
            path.write_bytes(change(before))
            assert path.read_bytes() != before

    return form


def shuffled(study):
    for name in TABLES:
        frame = pd.read_csv(study / f"{name}.csv", dtype=str, keep_default_na=False)
        frame.sample(frac=1, random_state=3).to_csv(study / f"{name}.csv", index=False)


def labelled(study):
    """The arms by their labels instead of their codes."""
    text = (study / "trial.csv").read_text(encoding="utf-8")
    assert ",a1," in text
    (study / "trial.csv").write_text(text.replace(",a1,", ",assistant,").replace(",usual,", ",usual care,"))


def json_documents(study):
    for name in ("dictionary", "card"):
        content = study.read(f"{name}.yaml")
        (study / f"{name}.yaml").unlink()
        (study / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    study.edit("analysis.yaml", lambda content: content.update(dictionary="dictionary.json", card="card.json"))


FORMS = {
    "Parquet": lambda study: stored(study, "parquet"),
    "Feather": lambda study: stored(study, "feather"),
    "byte-order marks": everywhere(lambda content: b"\xef\xbb\xbf" + content),
    "Windows line endings": everywhere(lambda content: content.replace(b"\n", b"\r\n")),
    "rows in another order": shuffled,
    "labels for codes": labelled,
    "JSON documents": json_documents,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_data_gives_the_same_components(form, made, study, e2e):
    FORMS[form](study)
    e2e.done(*OUT)
    assert components(study / "out") == components(made)
    assert (study / "out" / "stages.csv").read_bytes() == (made / "stages.csv").read_bytes()


def test_patterns_with_counts_give_what_rows_give(study, e2e):
    """Without participants rows are patterns with a count of one each."""

    def anonymous(content):
        table = content["tables"]["trial"]
        table["fields"] = [one for one in table["fields"] if one["name"] not in ("pid", "remark")]

    study.edit("dictionary.yaml", anonymous)
    e2e.done(*OUT)
    frame = pd.read_csv(study / "trial.csv", dtype=str, keep_default_na=False).drop(columns=["pid", "remark"])
    counted = frame.value_counts().rename("times").reset_index()
    assert len(counted) < len(frame)
    assert counted["times"].sum() == len(frame)
    counted.to_csv(study / "trial.csv", index=False)
    runs = pd.read_csv(study / "runs.csv", dtype=str)
    runs.value_counts().rename("times").reset_index().to_csv(study / "runs.csv", index=False)
    count = {"name": "times", "type": "integer", "role": "count"}
    study.edit(
        "dictionary.yaml",
        lambda content: [content["tables"][name]["fields"].append(count) for name in ("trial", "benchmark")],
    )
    e2e.done("decompose", "analysis.yaml", "--out", "counted")
    assert components(study / "counted") == components(study / "out")
    assert {row["covariance"] for row in records(study / "out" / "components.csv")} == {"robust", "item"}


# what the commands print, and where they write


def test_validate_prints_attrition_and_checks_and_writes_nothing(study, e2e):
    study.edit(
        "analysis.yaml",
        lambda content: content.update(exclude=[{"where": {"site": "south"}, "reason": "the ward was closed"}]),
    )
    before = e2e.tree(study.folder.parent)
    told = e2e.done("validate", "analysis.yaml")
    assert told.stderr == ""
    assert "analysis.yaml: no fault found." in told.stdout
    lines = [line.split() for line in told.stdout.splitlines()]
    assert ["read", "assistant", "72", "72", "as", "received"] in lines
    assert ["exclude", "assistant", "72", "36", "the", "ward", "was", "closed"] in lines
    assert ["exclude", "usual", "care", "72", "36", "the", "ward", "was", "closed"] in lines
    assert "same_system: pass." in told.stdout
    assert e2e.tree(study.folder.parent) == before


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Six Vignettes, twice", "six-vignettes-twice"),
        ("  ../..//etc -- Ärzte! ", "etc-rzte"),
        ("試験", "result"),
        ("a" * 99, "a" * 60),
    ],
)
def test_the_default_folder_is_the_title(title, slug, study, e2e):
    study.edit("analysis.yaml", lambda content: content.update(title=title, seed=2))
    told = e2e.done("decompose", "analysis.yaml")
    assert [path.name for path in (study / "results").iterdir()] == [slug]
    assert f"Report: results/{slug}/report.html" in told.stdout


def test_quiet_prints_nothing(study, e2e):
    told = e2e.done(*OUT, "--quiet")
    assert told.output == ""
    assert (study / "out" / "report.html").is_file()


def test_decompose_prints_the_stages_and_components(study, e2e):
    told = e2e.done(*OUT)
    assert told.stderr == ""
    found = {row["quantity"]: row for row in records(study / "out" / "components.csv") if row["arm"] == "all"}
    assert f"{100 * float(found['gap']['estimate']):+.1f}" in told.stdout
    for quantity in QUANTITIES:
        assert re.search(rf"^assistant +{quantity} ", told.stdout, re.MULTILINE)


def test_version(e2e):
    assert e2e.done("--version").stdout.strip() == f"rctgap, version {metadata.version('rctgap')}"


@pytest.mark.parametrize(
    "command",
    [(), ("reproduce",), ("validate",), ("decompose",), ("report",), ("card",), ("card", "show"), ("card", "check")],
)
def test_every_command_has_help(command, e2e):
    told = e2e.done(*command, "--help").stdout
    assert told.startswith("Usage: ")
    assert len(told.splitlines()) > 5


def test_card_commands_name_every_assumption(study, e2e):
    shown = e2e.done("card", "show", "card.yaml").stdout
    for name in ("task.query_authorship", "task.interaction_type", "outcome.decision_mediation"):
        assert name in shown
    checked = e2e.done(
        "card", "check", "card.yaml", "--ids", "task.query_authorship, outcome.decision_mediation"
    ).stdout
    assert "card.yaml: 4 assumptions" in checked
    assert "outcome.outcome_validity is not stated" in checked


# a result that is not final


def test_mixed_systems_without_consent_are_written_and_not_final(study, e2e):
    two_systems(study, consent=False)
    told = e2e.done(*OUT, code=3)
    assert "out is not final; checks that forbid it: same_system." in told.stderr
    assert strict(study / "out" / "result.json")["final"] is False
    check = next(row for row in records(study / "out" / "checks.csv") if row["check"] == "same_system")
    assert check["status"] == "fail"
    assert "a2" in check["detail"]
    page = (study / "out" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"not final", page, re.IGNORECASE)
    assert re.search(r"not final", (study / "out" / "report.md").read_text(encoding="utf-8"), re.IGNORECASE)
    row = next(row for row in records(study / "out" / "components.csv") if row["quantity"] == "conversation")
    assert "the system changes at conversation" in row["note"]


def test_mixed_systems_with_consent_are_final_and_carry_the_failed_check(study, e2e):
    two_systems(study, consent=True)
    told = e2e.done(*OUT)
    assert told.stderr == ""
    assert strict(study / "out" / "result.json")["final"] is True
    check = next(row for row in records(study / "out" / "checks.csv") if row["check"] == "same_system")
    assert check["status"] == "fail"
    assert "allow_mixed_systems" in check["detail"]
    assert not re.search(r"not final", (study / "out" / "report.html").read_text(encoding="utf-8"), re.IGNORECASE)


def test_quiet_still_says_why_a_result_is_not_final(study, e2e):
    two_systems(study, consent=False)
    told = e2e.done(*OUT, "--quiet", code=3)
    assert told.stdout == ""
    assert "same_system" in told.stderr


# the result folder


def test_a_second_run_replaces_the_first_as_a_whole(study, e2e):
    e2e.done(*OUT)
    (study / "out" / "figures" / "left-over.svg").write_text("old")
    study.edit("analysis.yaml", lambda content: content.update(title="Another title"))
    e2e.done(*OUT)
    assert not (study / "out" / "figures" / "left-over.svg").exists()
    assert strict(study / "out" / "result.json")["title"] == "Another title"
    assert [path.name for path in study.folder.iterdir() if path.name.startswith(".")] == []


def test_a_crash_while_writing_leaves_the_older_result(study, e2e, monkeypatch):
    e2e.done(*OUT)
    before = e2e.tree(study.folder.parent)

    def interrupted(place):
        assert (place / "result.json").is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr("rctgap.runs.write_report", interrupted)
    assert e2e.run(*OUT).exit_code != 0
    assert e2e.tree(study.folder.parent) == before


def test_the_same_analysis_gives_the_same_bytes(study, made, e2e):
    e2e.done("decompose", "analysis.yaml", "--out", "elsewhere/out")
    assert e2e.tree(study / "elsewhere" / "out") == e2e.tree(made)


def test_another_process_gives_the_same_numbers_and_figures(study, made, e2e):
    """Neither the order of sets nor the number of threads shows; the manifest holds the command, so it differs."""
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    command = [str(Path(sys.executable).with_name("rctgap")), *OUT]
    run = subprocess.run(
        command, capture_output=True, text=True, cwd=study.folder, env=environment, timeout=100, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    one, two = e2e.tree(made), e2e.tree(study / "out")
    assert one.keys() == two.keys()
    assert {name for name in one if one[name] != two[name]} == {"manifest.json", "report.html", "report.md"}
    assert strict(study / "out" / "manifest.json")["argv"] == ["rctgap", *OUT]


def test_report_rebuilds_the_same_report(study, made, e2e):
    shutil.copytree(made, study / "out")
    before = e2e.tree(study / "out")
    (study / "out" / "report.html").unlink()
    (study / "out" / "report.md").write_text("spoiled")
    shutil.rmtree(study / "out" / "figures")
    told = e2e.done("report", "out")
    assert {"out/report.html", "out/report.md", "out/figures/ladder.svg"} <= set(told.stdout.split())
    assert e2e.tree(study / "out") == before


def test_report_over_several_results(study, made, e2e):
    for name in ("one", "two"):
        shutil.copytree(made, study / "all" / name)
    e2e.done("report", "all")
    page = (study / "all" / "report.html").read_text(encoding="utf-8")
    assert (study / "all" / "report.md").is_file()
    assert all(re.search(rf"\b{name}\b", page) for name in ("one", "two"))


def test_every_file_of_the_contract_is_there(made):
    found = {path.name for path in made.iterdir()}
    assert {*COLUMNS, "result.json", "report.html", "report.md", "card.yaml", "manifest.json", "figures"} <= found
    assert {path.suffix for path in (made / "figures").iterdir()} == {".svg"}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_those_of_the_contract_in_its_order(name, made):
    with (made / name).open(encoding="utf-8", newline="") as stream:
        header = next(csv.reader(stream))
    wanted = COLUMNS[name].split()
    assert [column for column in header if column in wanted] == wanted
    assert len(set(header)) == len(header)
    assert records(made / name)
    assert all(None not in row and None not in row.values() for row in records(made / name))


@pytest.mark.parametrize("name", WORDS)
def test_columns_of_words_hold_known_words(name, made):
    for column, known in WORDS[name].items():
        assert {row[column] for row in records(made / name)} <= known


def test_figures_are_proportions_inside_their_intervals(made):
    for name in ("components.csv", "stages.csv"):
        for row in records(made / name):
            values = {key: float(row[key]) for key in ("lower", "estimate", "upper", "level") if row[key]}
            assert all(-1 <= value <= 1 for value in values.values()), row
            assert all(
                one <= two
                for one, two in pairwise(values[key] for key in ("lower", "estimate", "upper") if key in values)
            )
            assert values["level"] == 0.95
            assert row["lower"] or row["note"], row
            assert not row["std_error"] or 0 <= float(row["std_error"]) < 1


def test_flows_are_probabilities_and_counts(made):
    paired = [row for row in records(made / "components.csv") if row["lost"] and row["item_weights"] == "observed"]
    assert {row["quantity"] for row in paired} == {"conversation", "decision"}
    for row in paired:
        assert float(row["lost"]) == pytest.approx(int(row["lost_count"]) / 72)
        assert float(row["gained"]) == pytest.approx(int(row["gained_count"]) / 72)
        assert float(row["lost"]) - float(row["gained"]) == pytest.approx(float(row["estimate"]), abs=1e-12)


def test_components_have_one_row_a_key_and_a_row_for_each_arm_and_all(made):
    rows = records(made / "components.csv")
    keys = [tuple(row[column] for column in KEY) for row in rows]
    assert len(set(keys)) == len(keys)
    main = [
        row for row in rows if (row["items"], row["item_weights"], row["covariance"]) == ("fixed", "trial", "cluster")
    ]
    assert [(row["arm"], row["quantity"]) for row in main] == [
        (arm, quantity) for arm in ("assistant", "all") for quantity in QUANTITIES
    ]
    ids = {row["quantity"]: row["assumption_ids"] for row in main}
    assert ids["own_query"] == "task.query_authorship;task.information_completeness"
    assert ids["decision"] == "outcome.decision_mediation"


def test_parts_add_up_to_the_gap(made):
    main = [
        row
        for row in records(made / "components.csv")
        if (row["arm"], row["items"], row["item_weights"]) == ("all", "fixed", "trial")
    ]
    parts = {
        kind: sum(float(row["estimate"]) for row in main if row["kind"] == kind) for kind in ("component", "family")
    }
    gap = next(float(row["estimate"]) for row in main if row["quantity"] == "gap")
    assert parts == pytest.approx({"component": gap, "family": gap}, abs=1e-12)


def test_stages_have_one_row_an_arm_and_stage(made):
    rows = [(row["arm"], row["stage"]) for row in records(made / "stages.csv")]
    stages = ("benchmark", "own_query", "conversation", "decision")
    assert sorted(rows) == sorted(
        [*((arm, stage) for arm in ("assistant", "all") for stage in stages), ("usual care", "decision")]
    )
    found = {(row["arm"], row["stage"]): row for row in records(made / "stages.csv")}
    assert found["assistant", "benchmark"]["system"] == "a1"
    assert found["assistant", "benchmark"]["n"] == "90"
    assert found["usual care", "decision"]["n"] == "72"


def test_the_document_is_strict_json_with_everything_in_it(made):
    document = strict(made / "result.json")
    assert document["schema"] == "rctgap/result/1"
    assert document["final"] is True
    document["components"] += document["alternatives"]
    for name in ("components", "shares", "stages", "checks", "assumptions", "attrition", "tests", "missing"):
        rows = records(made / f"{name}.csv")
        assert len(document[name]) == len(rows)
        for told, row in zip(document[name], rows, strict=True):
            assert {key: "" if value is None else str(value) for key, value in told.items()} == row


def test_the_manifest_names_inputs_and_versions_without_paths_or_time(made):
    manifest = strict(made / "manifest.json")
    assert manifest["seed"] == 1
    assert manifest["interval"]["level"] == 0.95
    assert {one["file"] for one in manifest["inputs"]} == {
        *("analysis.yaml", "dictionary.yaml", "card.yaml", "trial.csv", "runs.csv", "items.csv")
    }
    assert all(re.fullmatch("[0-9a-f]{64}", one["sha256"]) for one in manifest["inputs"])
    assert manifest["versions"]["rctgap"] == metadata.version("rctgap")
    assert "argv" in manifest
    assert "warnings" in manifest


def test_no_participant_and_no_text_is_in_any_file(made, e2e):
    for path in made.rglob("*"):
        if path.is_file():
            content = path.read_text(encoding="utf-8")
            assert e2e.PERSON not in content
            assert "it hurts" not in content


def test_an_excluded_participant_is_not_named_in_any_file(study, e2e):
    person = f"{e2e.PERSON}004"
    study.edit(
        "analysis.yaml", lambda content: content.update(exclude=[{"where": {"pid": person}, "reason": "withdrew"}])
    )
    e2e.done(*OUT)
    for path in (study / "out").rglob("*"):
        assert not path.is_file() or e2e.PERSON not in path.read_text(encoding="utf-8"), path.name


def test_the_card_written_is_the_card_read(made, e2e, study):
    assert e2e.done("card", "show", made / "card.yaml").stdout.splitlines()[0] == "Six vignettes"
    written = json.loads(json.dumps(e2e.read(made / "card.yaml")))
    assert written.pop("notes").startswith("[rctgap evidence 1:")
    assert study.read("card.yaml") == written


def test_attrition_adds_up(study, e2e):
    study.edit(
        "analysis.yaml",
        lambda content: content.update(exclude=[{"where": {"site": "south"}, "reason": "the ward was closed"}]),
    )
    e2e.done(*OUT)
    rows = records(study / "out" / "attrition.csv")
    excluded = {row["arm"]: (row["n_in"], row["n_out"]) for row in rows if row["step"] == "exclude"}
    assert excluded == {"assistant": ("72", "36"), "usual care": ("72", "36")}
    stage = next(row for row in records(study / "out" / "stages.csv") if row["arm"] == "usual care")
    assert stage["n"] == "36"


def test_non_users_are_counted_by_the_policy(study, e2e):
    for row in (1, 2, 5, 6, 9, 10):
        study.cell("trial.csv", row, "used", "0")
    rates = {}
    for policy in ("exclude", "zero", "control"):
        study.edit("analysis.yaml", lambda content, policy=policy: content["estimand"].update(non_users=policy))
        e2e.done("decompose", "analysis.yaml", "--out", policy)
        found = {row["stage"]: row for row in records(study / policy / "stages.csv") if row["arm"] == "assistant"}
        rates[policy] = float(found["conversation"]["estimate"])
        assert found["decision"]["n"] == "72"
    assert rates["zero"] < rates["exclude"]
    assert rates["control"] != rates["exclude"]


def test_a_trial_without_card_dictionary_control_and_benchmark(study, e2e):
    """Names alone: columns called like roles, numbers as scores."""
    study.table(
        "plain.csv",
        [["arm", "conversation", "decision", "count"], ["a1", 1, 1, 30], ["a1", 1, 0, 40], ["a1", 0, 0, 30]],
    )
    study.document(
        "plain.yaml",
        {
            "schema": "rctgap/analysis/1",
            "title": "Plain",
            "data": {"trial": "plain.csv"},
            "arms": {"ai": ["a1"]},
            "stages": [{"name": "conversation", "from": "trial"}, {"name": "decision", "from": "trial"}],
            "transitions": [{"to": "decision", "family": "outcome", "assumptions": ["outcome.decision_mediation"]}],
            "estimand": {"items": "fixed"},
            "seed": 1,
        },
    )
    e2e.done("decompose", "plain.yaml", "--out", "out")
    found = {row["quantity"]: row for row in records(study / "out" / "components.csv") if row["arm"] == "a1"}
    assert float(found["decision"]["estimate"]) == pytest.approx(0.4)
    assert found["decision"]["covariance"] == "robust"
    assert found["realized_effect"]["estimate"] == ""
    assert found["realized_effect"]["note"]
    check = next(row for row in records(study / "out" / "checks.csv") if row["check"] == "clustering")
    assert check["status"] == "warning"
    assert "tied" in check["detail"]
    assert not (study / "out" / "card.yaml").exists()
