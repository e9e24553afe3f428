"""A small good trial, ways to break it, and the command as a user meets it."""

import csv
import hashlib
import io
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner

from rctgap.cli import main

ITEMS = tuple(f"v{number}" for number in range(6))
SECRET = "SECRET-"
WORDS = "He said \"it hurts\", <b>badly</b>\nsince Monday"
COLUMNS = ["pid", "vignette", "group", "site", "used", "own_query", "conversation", "decision", "remark"]


def answers():
    """Two answers a person, 72 people in two arms; the control arm has decisions alone."""
    for person in range(72):
        arm = ("a1", "usual")[person % 2]
        for turn in range(2):
            turned = person // 2 + 5 * turn
            query, talk = int(turned % 4 != 0), int((turned + turn) % 5 < 3)
            decided = int((turned + 2 * turn) % 3 == 0) if arm == "a1" else int((turned + turn) % 7 < 4)
            shown = [1, query, talk] if arm == "a1" else ["", "", ""]
            item = ITEMS[(person // 2 + 3 * turn) % len(ITEMS)]
            yield [f"{SECRET}{person:03}", item, arm, ("north", "south")[person // 2 % 2], *shown, decided, WORDS]


def runs():
    return [["a1", ITEMS[run % len(ITEMS)], int(run % 9 != 0)] for run in range(90)]


def score(name, stage=None):
    limits = {"minimum": 0, "maximum": 1}
    return {"name": name, "type": "integer", "role": "score", "stage": stage or name, "constraints": limits}


DICTIONARY = {
    "schema": "rctgap/dictionary/1",
    "tables": {
        "trial": {
            "missingValues": ["", "NA"],
            "fields": [
                {"name": "pid", "type": "string", "role": "participant", "sensitive": True},
                {"name": "vignette", "type": "string", "role": "item"},
                {
                    "name": "group",
                    "type": "string",
                    "role": "arm",
                    "levels": [{"value": "a1", "label": "assistant"}, {"value": "usual", "label": "usual care"}],
                },
                {"name": "site", "type": "string", "role": "stratum", "levels": [{"value": "north"}, {"value": "south"}]},
                {"name": "used", "type": "boolean", "role": "used"},
                score("own_query"),
                score("conversation"),
                score("decision"),
                {"name": "remark", "type": "string", "role": "text"},
            ],
            "foreignKeys": [{"fields": "vignette", "reference": {"resource": "items", "fields": "vignette"}}],
        },
        "benchmark": {
            "fields": [
                {"name": "system", "type": "string", "role": "system"},
                {"name": "vignette", "type": "string", "role": "item"},
                score("correct", "benchmark"),
            ]
        },
        "items": {"fields": [{"name": "vignette", "type": "string", "role": "item"}], "primaryKey": "vignette"},
    },
}

CARD = {
    "benchmark_name": "Six vignettes",
    "citation": "the trial's protocol",
    "intended_use_case": {"answer": "advice to patients"},
    "task": {
        "query_authorship": {"question": "Who writes?", "answer": "Clinicians.", "holds_at_deployment": "No (patients)"},
        "information_completeness": {"question": "Complete?", "answer": "Yes", "holds_at_deployment": "Partially"},
        "interaction_type": {"question": "Turns?", "answer": "single-turn", "holds_at_deployment": "No (many)"},
    },
    "outcome": {
        "decision_mediation": {"question": "Is it the decision?", "answer": "Yes", "holds_at_deployment": "No (patients)"}
    },
}

ANALYSIS = {
    "schema": "rctgap/analysis/1",
    "title": "Six Vignettes, twice",
    "card": "card.yaml",
    "dictionary": "dictionary.yaml",
    "data": {"trial": "trial.csv", "benchmark": "runs.csv", "items": "items.csv"},
    "design": {"unit": "participant", "strata": ["site"]},
    "arms": {"control": "usual care", "ai": {"assistant": {"system": "a1"}}},
    "stages": [
        {"name": "benchmark", "from": "benchmark", "score": "correct"},
        {"name": "own_query", "from": "trial"},
        {"name": "conversation", "from": "trial"},
        {"name": "decision", "from": "trial"},
    ],
    "transitions": [
        {
            "to": "own_query",
            "family": "task",
            "assumptions": ["task.query_authorship", "task.information_completeness"],
        },
        {"to": "conversation", "family": "task", "assumptions": ["task.interaction_type"]},
        {"to": "decision", "family": "outcome", "assumptions": ["outcome.decision_mediation"]},
    ],
    "estimand": {"items": "fixed", "item_weights": "trial"},
    "suppress_below": 2,
    "seed": 1,
}


class Study:
    """A folder with a good trial, and the edits that break it; an edit that changes nothing is an error."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.table("trial.csv", [COLUMNS, *answers()])
        self.table("runs.csv", [["system", "vignette", "correct"], *runs()])
        self.table("items.csv", [["vignette"], *([item] for item in ITEMS)])
        for name, content in (("dictionary", DICTIONARY), ("card", CARD), ("analysis", ANALYSIS)):
            self.document(f"{name}.yaml", content)

    def __truediv__(self, name):
        return self.folder / name

    def table(self, name, rows):
        with (self / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(rows)

    def rows(self, name):
        return list(csv.reader(io.StringIO((self / name).read_text(encoding="utf-8"), newline="")))

    def document(self, name, content):
        (self / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def edit(self, name, change):
        """Change a YAML document in place."""
        before = (self / name).read_bytes()
        content = yaml.safe_load(before)
        change(content)
        self.document(name, content)
        assert (self / name).read_bytes() != before

    def cell(self, name, row, column, value):
        """Set a cell; rows count from 1 below the header."""
        rows = self.rows(name)
        place = rows[0].index(column)
        assert rows[row][place] != value
        rows[row][place] = value
        self.table(name, rows)

    def replace(self, name, old, new):
        """Exchange a text in a file, once."""
        text = (self / name).read_text(encoding="utf-8")
        assert old in text, old
        (self / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    def bytes(self, name, content):
        (self / name).write_bytes(content)


def tree(folder):
    """Every path under a folder with its content's hash; folders and hidden files too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def run(*arguments):
    """The command, in this process, with stdout and stderr apart."""
    return CliRunner().invoke(main, [str(one) for one in arguments])


def done(*arguments, code=0):
    """The command, which must end with this exit code."""
    result = run(*arguments)
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A good trial in its own folder, which is the working directory."""
    made = Study(tmp_path / "study")
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture(scope="session")
def e2e():
    return SimpleNamespace(
        Study=Study, tree=tree, run=run, done=done, ITEMS=ITEMS, SECRET=SECRET, WORDS=WORDS, COLUMNS=COLUMNS
    )
