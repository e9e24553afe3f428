"""Broken inputs: exit code 2, a message that names file, place, value and what is allowed, and nothing written."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

VALIDATE = ("validate", "analysis.yaml")
DECOMPOSE = ("decompose", "analysis.yaml", "--out", "out")
BOTH = (VALIDATE, DECOMPOSE)
CHECK, SHOW = ("card", "check", "card.yaml"), ("card", "show", "card.yaml")
CARDS = (CHECK, SHOW, *BOTH)
REPRODUCE = ("reproduce", "raman2026", "--data", "theirs", "--out", "out")


@dataclass(frozen=True)
class Case:
    name: str
    harm: Callable
    words: tuple
    commands: tuple = BOTH
    hidden: tuple = ()


def set_in(name, *path):
    """An edit that sets the value at a path of keys; the last argument is the value."""
    *keys, last, value = path

    def harm(study):
        def change(content):
            for key in keys:
                content = content[key]
            content[last] = value

        study.edit(name, change)

    return harm


def drop(name, *path):
    *keys, last = path

    def harm(study):
        def change(content):
            for key in keys:
                content = content[key]
            del content[last]

        study.edit(name, change)

    return harm


def cell(name, row, column, value):
    return lambda study: study.cell(name, row, column, value)


def swap(name, old, new):
    return lambda study: study.replace(name, old, new)


def content(name, data):
    return lambda study: (study / name).write_bytes(data)


def ai(change):
    """An edit of the analysed arms."""
    return lambda study: study.edit("analysis.yaml", lambda content: content["arms"]["ai"].update(change))


def field(table, called, **change):
    def harm(study):
        def edit(content):
            fields = content["tables"][table]["fields"]
            next(one for one in fields if one["name"] == called).update(change)

        study.edit("dictionary.yaml", edit)

    return harm


def each(*harms):
    return lambda study: [harm(study) for harm in harms] and None


def no_file(name):
    return lambda study: (study / name).unlink()


def intact(study):
    """The fault is in the command."""


def nul_in_trial(study):
    content = (study / "trial.csv").read_bytes()
    (study / "trial.csv").write_bytes(content.replace(b"north", b"no\0th", 1))


def torn_parquet(study):
    pd.DataFrame({"vignette": ["v0"]}).to_parquet(study / "items.parquet")
    whole = (study / "items.parquet").read_bytes()
    (study / "items.parquet").write_bytes(whole[: len(whole) // 2])
    set_in("analysis.yaml", "data", "items", "items.parquet")(study)


def other_arm_for_one(study):
    study.cell("trial.csv", 2, "group", "usual")


def ragged(study):
    lines = (study / "runs.csv").read_text().splitlines()
    lines[3] += ",9"
    lines[5] = lines[5].rsplit(",", 1)[0]
    (study / "runs.csv").write_text("\n".join(lines) + "\n")


def outside(study):
    shutil.move(study / "runs.csv", study.folder.parent / "runs.csv")
    study.edit("analysis.yaml", lambda content: content["data"].update(benchmark="../runs.csv"))


def link_outside(study):
    shutil.move(study / "runs.csv", study.folder.parent / "elsewhere.csv")
    (study / "runs.csv").symlink_to(study.folder.parent / "elsewhere.csv")


def binomial(study, **cells):
    """The benchmark as successes and trials of each item."""
    rows = [["system", "vignette", "won", "tried"], *(["a1", f"v{item}", "13", "15"] for item in range(6))]
    study.table("runs.csv", rows)

    def change(content):
        content["tables"]["benchmark"]["fields"][2:] = [
            {"name": "won", "type": "integer", "role": "successes", "stage": "benchmark"},
            {"name": "tried", "type": "integer", "role": "trials", "stage": "benchmark"},
        ]

    study.edit("dictionary.yaml", change)
    for column, value in cells.items():
        study.cell("runs.csv", 4, column, value)


def counted(value):
    """The benchmark with a column of counts, one of them as given."""

    def harm(study):
        rows = study.rows("runs.csv")
        study.table("runs.csv", [[*rows[0], "count"], *([*row, "2"] for row in rows[1:])])
        study.cell("runs.csv", 3, "count", value)
        extra = {"name": "count", "type": "integer", "role": "count"}
        study.edit("dictionary.yaml", lambda content: content["tables"]["benchmark"]["fields"].append(extra))

    return harm


def without_people(study):
    def change(content):
        del content["tables"]["trial"]["fields"][0]

    study.edit("dictionary.yaml", change)
    study.edit("analysis.yaml", lambda content: content.update(frequentist={"covariance": "cluster"}))


def unseen_item(study):
    """A seventh item that the benchmark covers and no answer is about."""
    study.table("items.csv", [["vignette"], *([f"v{item}"] for item in range(7))])
    study.table("runs.csv", [*study.rows("runs.csv"), ["a1", "v6", "1"]])
    weights = {f"v{item}": 1 for item in range(7)}
    study.edit("analysis.yaml", lambda content: content["estimand"].update(item_weights=weights))


def non_users(study):
    for row in (1, 2):
        study.cell("trial.csv", row, "used", "0")


def bomb(study):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    text = (study / "card.yaml").read_text()
    (study / "card.yaml").write_text("notes_bomb:\n" + "".join(f"  {line}\n" for line in lines) + text)


def aliases(levels):
    """Settings of another command, short to write and long to write out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return settings("bayesian:\n" + "".join(f"  {line}\n" for line in lines))


def settings(text):
    return lambda study: (study / "analysis.yaml").write_text((study / "analysis.yaml").read_text() + text)


def nested(name, depth=3000):
    def harm(study):
        text = (study / name).read_text()
        (study / name).write_text(f"{text}extra: {'[' * depth}{']' * depth}\n")

    return harm


TAG = '!!python/object/apply:os.system ["touch executed"]'

CASES = (
    # files and their form
    Case("no analysis at all", intact, ("nowhere.yaml", "no such file"), (("validate", "nowhere.yaml"),)),
    Case(
        "a name that is too long",
        set_in("analysis.yaml", "data", "trial", f"{'x' * 300}.csv"),
        ("xxx.csv",),
    ),
    Case("no analysis", no_file("analysis.yaml"), ("analysis.yaml", "no such file")),
    Case("no trial", no_file("trial.csv"), ("trial.csv", "no such file")),
    Case("no card", no_file("card.yaml"), ("card.yaml", "no such file"), CARDS),
    Case("no dictionary", no_file("dictionary.yaml"), ("dictionary.yaml", "no such file")),
    Case(
        "a table of an unknown kind",
        each(content("trial.xlsx", b"PK"), set_in("analysis.yaml", "data", "trial", "trial.xlsx")),
        ("trial.xlsx", "'.xlsx'", "Allowed: .csv, .parquet, .feather"),
    ),
    Case(
        "a table not UTF-8",
        content("runs.csv", "system,vignette,correct\na1,Ménière,1\n".encode("latin-1")),
        ("runs.csv", "line 2", "not UTF-8", "Save the file as UTF-8"),
    ),
    Case(
        "a document not UTF-8",
        content("card.yaml", "benchmark_name: Ménière\n".encode("latin-1")),
        ("card.yaml", "byte 17 is not UTF-8", "Save the file as UTF-8"),
        CARDS,
    ),
    Case(
        "ragged rows",
        ragged,
        ("2 faults", "runs.csv, line 4, row 3: 4 cells under 3 columns", "line 6, row 5: 2 cells under 3 columns"),
    ),
    Case(
        "a column twice",
        swap("runs.csv", "system,vignette,correct", "system,vignette,vignette"),
        ("runs.csv, header, value 'vignette'", "2 columns have this name", "Name each column once"),
    ),
    Case(
        "an empty table", content("runs.csv", b""), ("runs.csv", "the file is empty", "a header and at least one row")
    ),
    Case(
        "a header alone", content("runs.csv", b"system,vignette,correct\n"), ("runs.csv", "no rows", "at least one row")
    ),
    Case(
        "semicolons",
        content("runs.csv", b"system;vignette;correct\na1;v0;1\n"),
        ("runs.csv", "line 1", "not separated by commas", "Save the file with commas"),
    ),
    Case("NUL bytes", nul_in_trial, ("trial.csv", "line 2", "NUL byte", "Save the file as UTF-8 text")),
    Case("torn Parquet", torn_parquet, ("items.parquet", "cannot be read", "Write it again")),
    Case(
        "an unclosed quote",
        swap("runs.csv", "a1,v0,0", '"a1,v0,0'),
        ("runs.csv", "cannot be read", "Close every quote"),
    ),
    # YAML
    Case(
        "broken YAML",
        swap("analysis.yaml", "title: Six", "title: [Six"),
        ("analysis.yaml, line 3, column 5", "Correct the syntax"),
    ),
    Case(
        "a key twice",
        swap("analysis.yaml", "seed: 1", "seed: 1\nseed: 2"),
        ("analysis.yaml", "line 47, column 1", "'seed' is given twice"),
    ),
    Case(
        "a key twice in the card",
        swap("card.yaml", "citation:", "citation: one\ncitation:"),
        ("card.yaml", "line 3, column 1", "'citation' is given twice"),
        CARDS,
    ),
    Case(
        "a tag that would run a program",
        swap("analysis.yaml", "title: Six Vignettes, twice", f"title: {TAG}"),
        ("analysis.yaml", "line 2, column 8", "python/object/apply"),
    ),
    Case(
        "a tag in the dictionary",
        swap("dictionary.yaml", "name: pid", f"name: {TAG}"),
        ("dictionary.yaml", "python/object/apply"),
    ),
    Case("deep nesting in the analysis", nested("analysis.yaml"), ("analysis.yaml",)),
    Case(
        "deep nesting in settings of another command",
        settings(f"bayesian: {'{a: ' * 300}1{'}' * 300}\n"),
        ("analysis.yaml",),
    ),
    Case("deep nesting in the dictionary", nested("dictionary.yaml"), ("dictionary.yaml",)),
    Case("deep nesting in the card", nested("card.yaml"), ("card.yaml",), CARDS),
    Case("aliases that explode in the analysis", aliases(5), ("analysis.yaml",)),
    Case("an alias of itself", settings("bayesian: &own {prior: *own}\n"), ("analysis.yaml",)),
    Case(
        "nesting that YAML bears",
        nested("card.yaml", 60),
        ("card.yaml", "nested too deeply", "At most 20 levels"),
        CARDS,
    ),
    Case("aliases that explode", bomb, ("card.yaml", "holds too much", "At most 20 levels and 50,000 values"), CARDS),
    Case("an analysis that is a list", content("analysis.yaml", b"- a\n- b\n"), ("analysis.yaml", "a list", "mapping")),
    Case("an empty analysis", content("analysis.yaml", b""), ("analysis.yaml", "A mapping of keys to values")),
    # the analysis
    Case(
        "a misspelt key",
        set_in("analysis.yaml", "estimand", "item_wieghts", "trial"),
        ("analysis.yaml, estimand.item_wieghts: unknown key", "Did you mean 'item_weights'?"),
    ),
    Case(
        "a misspelt key at the top",
        set_in("analysis.yaml", "supress_below", 5),
        ("analysis.yaml, supress_below: unknown key", "Did you mean 'suppress_below'?"),
    ),
    Case(
        "a misspelt key in a list",
        set_in("analysis.yaml", "stages", 1, "scor", "own_query"),
        ("analysis.yaml, stages[1].scor: unknown key", "Did you mean 'score'?", "Allowed: from, name, score, system"),
    ),
    Case(
        "a word for a number",
        set_in("analysis.yaml", "suppress_below", "few"),
        ("analysis.yaml, suppress_below, value 'few'", "valid integer"),
    ),
    Case(
        "a level above one",
        set_in("analysis.yaml", "frequentist", {"level": 95}),
        ("analysis.yaml, frequentist.level, value '95'", "less than 1"),
    ),
    Case(
        "another schema",
        set_in("analysis.yaml", "schema", "rctgap/analysis/2"),
        ("analysis.yaml, schema, value 'rctgap/analysis/2'", "rctgap/analysis/1"),
    ),
    Case(
        "items not chosen",
        drop("analysis.yaml", "estimand", "items"),
        ("analysis.yaml, estimand.items", "a required key is missing", "Add 'items'"),
    ),
    Case(
        "items of no known kind",
        set_in("analysis.yaml", "estimand", "items", "some"),
        ("analysis.yaml, estimand.items, value 'some'", "'fixed' or 'random'"),
    ),
    Case(
        "logs that no stage is scored from",
        set_in("analysis.yaml", "data", "conversations", "logs.jsonl"),
        ("analysis.yaml, data.conversations, value 'logs.jsonl'", "no stage is scored", "remove the key"),
    ),
    Case(
        "labels of scores that came as they are",
        set_in("analysis.yaml", "data", "labels", "labels.csv"),
        ("analysis.yaml, data.labels, value 'labels.csv'", "no stage is scored here", "remove the key"),
    ),
    Case(
        "a path that leaves the folder",
        outside,
        ("'../runs.csv'", "leaves the folder", "--allow-outside"),
    ),
    Case(
        "a link that leaves the folder",
        link_outside,
        ("'runs.csv'", "leaves the folder", "--allow-outside"),
    ),
    Case(
        "an absolute path",
        set_in("analysis.yaml", "card", "/etc/passwd"),
        ("'/etc/passwd'", "leaves the folder", "--allow-outside"),
    ),
    Case(
        "a stage without transition",
        lambda study: study.edit("analysis.yaml", lambda content: content["transitions"].pop(1)),
        ("transitions", "lead to own_query, decision", "in order: own_query, conversation, decision"),
    ),
    Case(
        "a transition to no stage",
        set_in("analysis.yaml", "transitions", 1, "to", "conversaton"),
        ("transitions", "conversaton", "in order: own_query, conversation, decision"),
    ),
    Case(
        "one stage",
        lambda study: study.edit("analysis.yaml", lambda content: content["stages"].__delitem__(slice(1, 4))),
        ("analysis.yaml, stages", "at least 2"),
    ),
    Case(
        "a stage twice",
        set_in("analysis.yaml", "stages", 2, "name", "own_query"),
        ("stages, value 'own_query'", "given twice", "Name each stage once"),
    ),
    Case(
        "benchmark after trial",
        lambda study: study.edit("analysis.yaml", lambda content: content["stages"].reverse()),
        ("stages, value 'benchmark'", "The benchmark can only be first"),
    ),
    Case(
        "a benchmark stage without benchmark data",
        drop("analysis.yaml", "data", "benchmark"),
        ("data.benchmark", "no benchmark data are given", "Give the runs, or leave the stage out"),
    ),
    Case(
        "a benchmark without the arm's system",
        set_in("analysis.yaml", "arms", "ai", "assistant", "system", "a2"),
        ("system, value 'a2'", "no benchmark run is of this arm's system", "Allowed: assistant"),
    ),
    Case(
        "borrowing without a reason",
        ai({"assistant": {"system": "a1", "rows": {"own_query": "usual care"}}}),
        ("analysis.yaml, arms.ai.assistant", "without a reason", "because"),
    ),
    Case(
        "borrowing a stage that is not there",
        ai({"assistant": {"system": "a1", "rows": {"own_qery": "usual care"}, "because": "same texts"}}),
        ("analysis.yaml, arms.ai.assistant.rows.own_qery", "Did you mean 'own_query'?"),
    ),
    Case(
        "borrowing scores that are not there",
        ai({"assistant": {"system": "a1", "rows": {"own_query": "usual care"}, "because": "same texts"}}),
        ("own_query", "arm 'usual care' has no score at this stage", "Leave the stage out of the chain, or borrow it"),
    ),
    Case(
        "two-way covariance with fixed items",
        set_in("analysis.yaml", "frequentist", {"covariance": "cluster2"}),
        ("value 'cluster2'", "makes no sense with items 'fixed'", "use robust or cluster"),
    ),
    Case(
        "clustering without participants",
        without_people,
        ("value 'cluster'", "needs every answer's participant", "Use 'robust'", "role `participant`"),
    ),
    Case(
        "a covariance of no known name",
        set_in("analysis.yaml", "frequentist", {"covariance": "clusters"}),
        ("analysis.yaml, frequentist.covariance, value 'clusters'", "'cluster2'"),
    ),
    Case(
        "weights for an item that no answer is about",
        unseen_item,
        ("'v6'", "usual care"),
    ),
    Case(
        "negative weights",
        set_in("analysis.yaml", "estimand", "item_weights", {"v0": -1, "v1": 2}),
        ("item_weights.v0, value '-1", "negative", "non-negative weights with a positive sum"),
    ),
    Case(
        "weights of an arm that is not analysed",
        set_in("analysis.yaml", "estimand", "arm_weights", {"asistant": 1}),
        ("estimand.arm_weights, value 'asistant'", "no analysed arm", "to each of: assistant"),
    ),
    Case(
        "non-users without a policy",
        non_users,
        ("2 answers", "never used the system", "Choose non_users: exclude, zero or control"),
    ),
    Case(
        "an unknown stratum",
        set_in("analysis.yaml", "design", "strata", ["sites"]),
        ("trial.csv, sites", "a stratum names no column of the trial", "Did you mean 'site'?"),
    ),
    Case(
        "an exclusion of no column",
        set_in("analysis.yaml", "exclude", [{"where": {"sitee": "north"}, "reason": "closed"}]),
        ("trial.csv, sitee", "an exclusion names no column", "Did you mean 'site'?"),
    ),
    Case(
        "an exclusion of no level",
        set_in("analysis.yaml", "exclude", [{"where": {"site": "nroth"}, "reason": "closed"}]),
        ("'nroth'", "site", "Did you mean 'north'?"),
    ),
    Case(
        "an exclusion by a list",
        set_in("analysis.yaml", "exclude", [{"where": {"site": ["north"]}, "reason": "closed"}]),
        ("site",),
    ),
    Case(
        "a score column that is a text",
        set_in("analysis.yaml", "stages", 1, "score", "remark"),
        ("trial.csv, remark",),
        hidden=("hurts",),
    ),
    Case(
        "a score column that is sensitive",
        set_in("analysis.yaml", "stages", 1, "score", "pid"),
        ("trial.csv, pid",),
        hidden=("SECRET",),
    ),
    Case(
        "a system column that is a text",
        set_in("analysis.yaml", "stages", 1, "system", {"column": "remark"}),
        ("remark",),
        hidden=("hurts",),
    ),
    Case(
        "a system column that is sensitive",
        set_in("analysis.yaml", "stages", 1, "system", {"column": "pid"}),
        ("pid",),
        hidden=("SECRET",),
    ),
    Case(
        "everyone excluded",
        set_in("analysis.yaml", "exclude", [{"where": {"group": "assistant"}, "reason": "trouble"}]),
        ("trial.csv, group, value 'assistant'", "no row is in this arm"),
    ),
    # the data
    Case(
        "a score out of range",
        cell("trial.csv", 5, "decision", "2"),
        ("trial.csv, decision, row 5, value '2'", "above the maximum", "At most 1"),
    ),
    Case(
        "a score that is no number",
        cell("trial.csv", 5, "decision", "yes"),
        ("trial.csv, decision, row 5, value 'yes'", "not an integer"),
    ),
    Case(
        "a score that is not finite",
        each(field("benchmark", "correct", type="number"), cell("runs.csv", 7, "correct", "inf")),
        ("runs.csv, correct, row 7, value 'inf'", "not a finite number"),
    ),
    Case(
        "an unknown arm label in the data",
        cell("trial.csv", 3, "group", "a3"),
        ("trial.csv, group, row 3, value 'a3'", "no level of the field", "Allowed: a1, assistant, usual"),
    ),
    Case(
        "an unknown arm label in the analysis",
        set_in("analysis.yaml", "arms", "control", "usual car"),
        ("trial.csv, group, value 'usual car'", "no row is in this arm", "Did you mean 'usual care'?"),
    ),
    Case(
        "an arm missing from the data",
        lambda study: study.table("trial.csv", [row for row in study.rows("trial.csv") if row[2] != "usual"]),
        ("trial.csv, group, value 'usual care'", "no row is in this arm", "Allowed: assistant"),
    ),
    Case(
        "a blank arm",
        cell("trial.csv", 4, "group", ""),
        ("trial.csv, group, row 4", "the arm is blank", "Every row needs its arm"),
    ),
    Case(
        "a participant in two arms",
        other_arm_for_one,
        ("trial.csv, pid, row 2", "a participant appears in a second arm", "crossover: true"),
        hidden=("SECRET",),
    ),
    Case(
        "an unknown level",
        cell("trial.csv", 9, "site", "nort"),
        ("trial.csv, site, row 9, value 'nort'", "no level", "Did you mean 'north'?", "Allowed: north, south"),
    ),
    Case(
        "blanks around a level",
        cell("trial.csv", 9, "site", " north "),
        ("trial.csv, site, row 9, value ' north '", "blanks around the value", "Remove them"),
    ),
    Case(
        "a column that the dictionary has and the table lacks",
        swap("trial.csv", "conversation", "converstion"),
        ("trial.csv, conversation", "the column is missing", "Did you mean 'converstion'"),
    ),
    Case(
        "a broken key",
        cell("trial.csv", 11, "vignette", "v66"),
        ("trial.csv, vignette, row 11, value 'v66'", "no row of items has this key", "Correct the value"),
    ),
    Case(
        "a key that repeats",
        cell("items.csv", 2, "vignette", "v0"),
        ("items.csv, vignette, row 2, value 'v0'", "the key repeats an earlier row's"),
    ),
    Case("a negative count", counted("-1"), ("runs.csv, count, row 3, value '-1'", "negative", "Zero or more")),
    Case("a fractional count", counted("1.5"), ("runs.csv, count, row 3, value '1.5'", "not an integer")),
    Case("a blank count", counted(""), ("runs.csv, count, row 3", "the value is missing", "Every row needs one")),
    Case(
        "more successes than trials",
        lambda study: binomial(study, won="16"),
        ("runs.csv, won, tried, row 4, value '16, 15'", "more successes than trials", "At most tried"),
    ),
    Case(
        "trials without successes",
        lambda study: binomial(study, won=""),
        ("runs.csv, won, tried, row 4", "not both given", "Give both, or neither"),
    ),
    Case(
        "a value that is withheld",
        each(
            field("trial", "pid", constraints={"pattern": "S[0-9]+"}),
            field("trial", "remark", constraints={"maxLength": 3}),
        ),
        ("288 faults", "trial.csv, pid, row 1, value '(withheld)'", "and 238 more"),
        hidden=("SECRET", "hurts"),
    ),
    # the dictionary
    Case(
        "an unknown role",
        field("trial", "pid", role="particpant"),
        ("dictionary.yaml, tables.trial.fields[0].role, value 'particpant'", "Did you mean 'participant'?"),
    ),
    Case(
        "an unknown type",
        field("trial", "pid", type="text"),
        ("dictionary.yaml, tables.trial.fields[0].type, value 'text'", "Allowed: any, boolean"),
    ),
    Case(
        "two fields of one name",
        field("trial", "remark", name="site"),
        ("dictionary.yaml, tables.trial.fields[8].name, value 'site'", "two fields have this name"),
    ),
    Case(
        "a table of no known name",
        lambda study: study.edit(
            "dictionary.yaml", lambda content: content["tables"].update(trail=content["tables"]["items"])
        ),
        ("dictionary.yaml, tables.trail", "Did you mean 'trial'?"),
    ),
    Case(
        "a key to no table",
        set_in("dictionary.yaml", "tables", "trial", "foreignKeys", 0, "reference", "resource", "item"),
        ("tables.trial.foreignKeys[0].reference.resource, value 'item'", "Did you mean 'items'?"),
    ),
    Case(
        "no table for the benchmark",
        drop("dictionary.yaml", "tables", "benchmark"),
        ("benchmark", "the dictionary does not describe this table", "Allowed: items, trial"),
    ),
    # the card
    Case(
        "an unknown assumption in the transitions",
        set_in("analysis.yaml", "transitions", 1, "assumptions", ["task.interaction_typ"]),
        ("analysis.yaml, transitions, value 'task.interaction_typ'", "Did you mean 'task.interaction_type'?"),
    ),
    Case(
        "an ID twice",
        set_in("card.yaml", "outcome", "decision_mediation", "id", "task.query_authorship"),
        ("card.yaml", "'task.query_authorship'", "outcome.decision_mediation"),
        CARDS,
    ),
    Case("a card that is a list", content("card.yaml", b"- one\n"), ("card.yaml", "a list", "mapping"), CARDS),
    Case("an empty card", content("card.yaml", b"{}\n"), ("card.yaml", "the card is empty", "template"), CARDS),
    Case(
        "a family that is text",
        set_in("card.yaml", "task", "none"),
        ("card.yaml, task", "the family is not a mapping", "A mapping of assumptions is expected"),
        CARDS,
    ),
    Case(
        "an assumption that is a list",
        set_in("card.yaml", "task", "query_authorship", ["who"]),
        ("card.yaml, task.query_authorship", "mapping"),
        CARDS,
    ),
    Case(
        "an ID that the card lacks",
        intact,
        ("--ids, value 'task.query_autorship'", "Did you mean 'task.query_authorship'?"),
        (("card", "check", "card.yaml", "--ids", "task.query_autorship"),),
    ),
    # several at once
    Case(
        "faults everywhere",
        each(
            cell("trial.csv", 5, "decision", "2"),
            cell("trial.csv", 5, "site", "west"),
            cell("runs.csv", 7, "correct", "maybe"),
            cell("items.csv", 6, "vignette", ""),
            set_in("analysis.yaml", "transitions", 1, "assumptions", ["task.interaction_typ"]),
            set_in("analysis.yaml", "estimand", "arm_weights", {"asistant": 1}),
        ),
        (
            "trial.csv, decision, row 5, value '2'",
            "trial.csv, site, row 5, value 'west'",
            "runs.csv, correct, row 7, value 'maybe'",
            "items.csv, vignette, row 6",
            "'task.interaction_typ'",
        ),
    ),
    # where to write
    Case(
        "an --out of too long a name",
        intact,
        ("xxx",),
        (("decompose", "analysis.yaml", "--out", "x" * 300),),
    ),
    Case(
        "a new folder above --out",
        cell("trial.csv", 5, "decision", "2"),
        ("trial.csv, decision, row 5",),
        (("decompose", "analysis.yaml", "--out", "new/deep/out"), ("decompose", "analysis.yaml")),
    ),
    Case(
        "a new folder above the reproduction",
        intact,
        ("theirs/saved_results.csv", "no such file"),
        (
            ("reproduce", "raman2026", "--data", "theirs", "--out", "new/deep/out"),
            ("reproduce", "raman2026", "--data", "theirs"),
        ),
    ),
    Case(
        "a file for --out", content("out", b"mine"), ("out", "this is a file", "Name a folder"), (DECOMPOSE, REPRODUCE)
    ),
    Case(
        "a foreign folder for --out",
        lambda study: (study / "out").mkdir() or (study / "out" / "thesis.txt").write_text("mine"),
        ("out", "not an rctgap result", "Choose another --out, or empty it first"),
        (DECOMPOSE, REPRODUCE),
    ),
    Case(
        "a file above --out",
        content("file", b"mine"),
        ("file/out", "cannot write there", "Choose another --out"),
        (("decompose", "analysis.yaml", "--out", "file/out"),),
    ),
)


@pytest.fixture
def watched(study, e2e):
    """Runs a command that must refuse, and write nothing at all; gives its message."""

    def refuse(*command):
        before = e2e.tree(study.folder.parent)
        result = e2e.run(*command)
        assert result.exit_code == 2, (result.exit_code, result.output, result.exception)
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        assert e2e.tree(study.folder.parent) == before
        return result.stderr

    return refuse


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused_with_a_message_and_nothing_written(case, study, watched):
    case.harm(study)
    told = [watched(*command) for command in case.commands]
    for message in told:
        assert message.startswith("Error: ")
        for word in case.words:
            assert word in message
        for word in case.hidden:
            assert word not in message
        assert not (study / "executed").exists()


@pytest.mark.parametrize("command", BOTH, ids=["validate", "decompose"])
def test_a_path_outside_is_taken_when_allowed(command, study, e2e):
    outside(study)
    e2e.done(*command, "--allow-outside")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that is there and cannot be read")
@pytest.mark.parametrize("name", ["trial.csv", "card.yaml", "analysis.yaml"])
def test_a_file_that_cannot_be_read_is_named(name, study):
    (study / name).unlink()
    (study / name).symlink_to("/proc/self/mem")
    run = subprocess.run(
        [str(Path(sys.executable).with_name("rctgap")), *VALIDATE, "--allow-outside"],
        capture_output=True,
        text=True,
        cwd=study.folder,
        timeout=100,
        check=False,
    )
    assert run.returncode == 2, run.stderr
    assert run.stderr.startswith("Error: ")
    assert name in run.stderr


def test_the_message_is_the_same_from_both_commands(study, watched):
    study.cell("trial.csv", 5, "decision", "2")
    study.cell("runs.csv", 7, "correct", "maybe")
    assert watched(*VALIDATE) == watched(*DECOMPOSE)


def test_at_most_fifty_faults_are_listed(study, watched):
    rows = study.rows("trial.csv")
    study.table("trial.csv", [rows[0], *([*row[:-2], "3", row[-1]] for row in rows[1:])])
    told = watched(*VALIDATE)
    assert "144 faults" in told
    assert "and 94 more" in told
    assert len(told.splitlines()) < 60


def test_a_real_process_refuses_alike(study, e2e):
    study.cell("trial.csv", 5, "decision", "2")
    before = e2e.tree(study.folder.parent)
    command = [str(Path(sys.executable).with_name("rctgap")), *DECOMPOSE]
    run = subprocess.run(command, capture_output=True, text=True, cwd=study.folder, timeout=100, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("Error: trial.csv, decision, row 5, value '2'")
    assert "Traceback" not in run.stderr
    assert e2e.tree(study.folder.parent) == before


def test_a_fault_leaves_an_older_result_alone(study, e2e, watched):
    e2e.done(*DECOMPOSE)
    study.cell("trial.csv", 5, "decision", "2")
    watched(*DECOMPOSE)
    assert json.loads((study / "out" / "result.json").read_text())["final"] is True


def test_unknown_commands_and_options_are_usage_errors(study, watched):
    assert "No such command" in watched("decomposed")
    assert "No such option" in watched(*DECOMPOSE, "--mehtod", "frequentist")
    assert "'bayes' is not one of 'frequentist', 'bayesian', 'both'" in watched(*DECOMPOSE, "--method", "bayes")
    assert "'raman2025' is not 'raman2026'" in watched("reproduce", "raman2025")


def rewritten(change):
    def harm(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    return harm


def text(data):
    return lambda path: path.write_bytes(data)


DAMAGES = {
    "no result": ("result.json", Path.unlink, ("no result here", "result.json")),
    "half a result": (
        "result.json",
        lambda path: path.write_bytes(path.read_bytes()[:700]),
        ("result.json", "damaged"),
    ),
    "a list": ("result.json", text(b"[1]"), ("result.json", "mapping")),
    "not UTF-8": ("result.json", text(b"\xff{}"), ("result.json", "damaged")),
    "deep nesting": ("result.json", text(b"[" * 100_000), ("result.json",)),
    "another schema": (
        "result.json",
        rewritten(lambda content: content.update(schema="rctgap/result/9")),
        ("result.json, schema, value 'rctgap/result/9'", "Expected rctgap/result/1"),
    ),
    "no settings": ("result.json", rewritten(lambda content: content.pop("settings")), ("result.json", "'settings'")),
    "a word for a number": (
        "result.json",
        rewritten(lambda content: content["components"][0].update(estimate="much")),
        ("result.json", "damaged"),
    ),
    "a number that is not finite": (
        "result.json",
        rewritten(lambda content: content["stages"][0].update(estimate=float("inf"))),
        ("result.json",),
    ),
    "no components": ("result.json", rewritten(lambda content: content.update(components=[])), ("result.json",)),
    "no stages": ("result.json", rewritten(lambda content: content.update(stages=[])), ("result.json",)),
    "a stage renamed in the settings": (
        "result.json",
        rewritten(lambda content: content["settings"]["stages"].__setitem__(0, "other")),
        ("result.json",),
    ),
    "a warning that is no text": (
        "result.json",
        rewritten(lambda content: content.update(warnings=[3])),
        ("result.json",),
    ),
    "half a manifest": ("manifest.json", text(b"{"), ("manifest.json", "damaged")),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory, e2e):
    """A result folder to damage copies of."""
    made = e2e.Study(tmp_path_factory.mktemp("good") / "study")
    e2e.done("decompose", made / "analysis.yaml", "--out", made / "out")
    return made / "out"


@pytest.mark.parametrize("name", DAMAGES)
def test_a_report_on_a_damaged_result_is_refused(name, good, study, watched):
    file, harm, words = DAMAGES[name]
    shutil.copytree(good, study / "out")
    harm(study / "out" / file)
    told = watched("report", "out")
    for word in words:
        assert word in told


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"results": 3}', b'{"results": [], "skipped": []}'])
def test_a_report_over_a_damaged_index_is_refused(content, good, study, watched):
    shutil.copytree(good, study / "all" / "one")
    (study / "all" / "index.json").write_bytes(content)
    assert "index.json" in watched("report", "all")


@pytest.mark.parametrize("name", ["nowhere", "analysis.yaml", "empty"])
def test_a_report_needs_a_result(name, study, watched):
    (study / "empty").mkdir()
    told = watched("report", name)
    assert "no result here" in told
    assert "result.json" in told
    assert name in told


def test_a_folder_with_a_damaged_result_is_not_overwritten_and_the_way_out_is_told(good, study, watched):
    shutil.copytree(good, study / "out")
    (study / "out" / "result.json").write_bytes(b"{")
    told = watched(*DECOMPOSE)
    assert "result.json" in told
    assert "Choose another --out, or empty it first" in told


@pytest.fixture(scope="module")
def small(tmp_path_factory, e2e):
    """The authors' files with sixty answers; faults must be found before anything is computed."""
    return e2e.Theirs(60).write(tmp_path_factory.mktemp("small") / "theirs")


def their_cell(file, row, column, value):
    def harm(folder):
        frame = pd.read_csv(folder / file, dtype=str, keep_default_na=False)
        assert frame.loc[row - 1, column] != value
        frame.loc[row - 1, column] = value
        frame.rename(columns={"Unnamed: 0": ""}).to_csv(folder / file, index=False, lineterminator="\n")

    return harm


def their_text(file, old, new):
    def harm(folder):
        found = (folder / file).read_text(encoding="utf-8")
        assert old in found
        (folder / file).write_text(found.replace(old, new, 1), encoding="utf-8")

    return harm


SCORED, DIRECT, FIRST = "clean_prescored.csv", "direct_trials_condition.csv", "saved_results.csv"
THEIR_FAULTS = {
    "a file missing": (
        lambda folder: (folder / SCORED).unlink(),
        (f"theirs/{SCORED}", "no such file", "The folder needs"),
    ),
    "no folder": (shutil.rmtree, ("5 faults", *(f"theirs/{name}" for name in (SCORED, DIRECT, FIRST)))),
    "a column missing": (
        their_text(SCORED, "differential_correct_bot_count", "bot_count"),
        (f"theirs/{SCORED}, differential_correct_bot_count", "the column is missing"),
    ),
    "no flag": (
        their_cell(SCORED, 3, "differential_correct_any", "maybe"),
        (f"theirs/{SCORED}, differential_correct_any, row 3, value 'maybe'", "True, False, 1 or 0"),
    ),
    "a blank flag": (
        their_cell(DIRECT, 5, "differential_correct", ""),
        (f"theirs/{DIRECT}, differential_correct, row 5, value ''", "True, False, 1 or 0"),
    ),
    "an id that does not join": (
        their_cell(FIRST, 3, "id", "99"),
        (f"theirs/{FIRST}, id, row 3", "not in clean_prescored.csv", "not in gpt4o_first_turn_results.csv"),
    ),
    "an id twice": (
        lambda folder: [their_cell(SCORED, row, "id", "99")(folder) for row in (3, 4)],
        (f"theirs/{SCORED}, id, row 4", "the id occurs twice", "One row per answer"),
    ),
    "flags wrong in two files": (
        lambda folder: [
            their_cell(SCORED, 3, "differential_correct_any", "maybe")(folder),
            their_cell(DIRECT, 5, "differential_correct", "perhaps")(folder),
        ],
        (f"{SCORED}, differential_correct_any, row 3", f"{DIRECT}, differential_correct, row 5"),
    ),
    "an unknown scenario": (their_cell(FIRST, 3, "scenario_id", "99"), ("scenario_id", "'99'")),
    "an unknown model": (their_cell(DIRECT, 3, "model", "GPT-5"), ("model", "'GPT-5'")),
    "an empty file": (lambda folder: (folder / SCORED).write_bytes(b""), (f"theirs/{SCORED}",)),
    "no answers": (
        lambda folder: [
            (folder / name).write_text((folder / name).read_text(encoding="utf-8").partition("\n")[0] + "\n")
            for name in (SCORED, FIRST, "gpt4o_first_turn_results.csv")
        ],
        (f"theirs/{SCORED}",),
    ),
    "a row too long": (
        lambda folder: (folder / SCORED).write_text((folder / SCORED).read_text().rstrip("\n") + ",9,9\n"),
        (f"theirs/{SCORED}",),
    ),
    "not UTF-8": (
        lambda folder: (folder / FIRST).write_bytes((folder / FIRST).read_bytes() + b"9,9,9,\xe9,,,True\n"),
        (f"theirs/{FIRST}",),
    ),
}


@pytest.mark.parametrize("name", THEIR_FAULTS)
def test_faults_in_the_authors_files_are_named(name, small, study, e2e, watched):
    harm, words = THEIR_FAULTS[name]
    shutil.copytree(small, study / "theirs")
    harm(study / "theirs")
    told = watched(*REPRODUCE)
    for word in words:
        assert word in told
    assert e2e.MARK not in told
    assert str(Path(tempfile.gettempdir())) not in told


def test_the_good_trial_is_good(study, e2e):
    e2e.done(*VALIDATE)
    e2e.done(*DECOMPOSE)
    e2e.done(*CHECK)
    assert "task.query_authorship" in e2e.done(*SHOW).stdout
