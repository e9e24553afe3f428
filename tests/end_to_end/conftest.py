"""A small good trial, ways to break it, and the command as a user meets it."""

import csv
import hashlib
import io
import random
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner

from rctgap.cli import main
from rctgap.datasets import folder as embedded

ITEMS = tuple(f"v{number}" for number in range(6))
PERSON = "SECRET-"
WORDS = 'He said "it hurts", <b>badly</b>\nsince Monday'
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
            yield [f"{PERSON}{person:03}", item, arm, ("north", "south")[person // 2 % 2], *shown, decided, WORDS]


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
                {
                    "name": "site",
                    "type": "string",
                    "role": "stratum",
                    "levels": [{"value": "north"}, {"value": "south"}],
                },
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
        "query_authorship": {
            "question": "Who writes?",
            "answer": "Clinicians.",
            "holds_at_deployment": "No (patients)",
        },
        "information_completeness": {"question": "Complete?", "answer": "Yes", "holds_at_deployment": "Partially"},
        "interaction_type": {"question": "Turns?", "answer": "single-turn", "holds_at_deployment": "No (many)"},
    },
    "outcome": {
        "decision_mediation": {
            "question": "Is it the decision?",
            "answer": "Yes",
            "holds_at_deployment": "No (patients)",
        }
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


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8-sig"))


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

    def read(self, name):
        return read(self / name)

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


FLAG = {"0": "False", "1": "True"}
MARK = "zebrafinch"
TEXTS = (
    f'{MARK} says "ouch", twice',
    f"{MARK} line one\nline two, with a comma\n\n1) A&E\n2) {MARK}",
    f"<script>alert('{MARK}')</script> & <b>{MARK}</b>",
    f"=cmd|'{MARK}'!A1",
    "",
)
FLAGS = ["differential_correct", "differential_correct_any", "differential_correct_bot", "differential_correct_user"]


class Theirs:
    """The authors' five files at full size, made again from the embedded counts; every text is made up."""

    def __init__(self, rows=None):
        self.draw = random.Random(2026)  # noqa: S311 - made-up data
        self.answers = list(self._ordered())
        self.alone = list(self._embedded("benchmark.csv"))
        self.scenarios = list(self._embedded("scenarios.csv", counted=False))
        if rows is not None:
            self.answers = [row for row in self.answers if row["arm"] in ("Llama 3 70B", "Control")][:rows]

    @staticmethod
    def _embedded(name, *, counted=True):
        with (embedded("raman2026") / name).open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                for _ in range(int(row.pop("count")) if counted else 1):
                    yield dict(row)

    def _ordered(self):
        """Command R+ last; the others in any order before it."""
        rows = list(self._embedded("trial.csv"))
        self.draw.shuffle(rows)
        rows.sort(key=lambda row: row["arm"] == "Command R+")
        ids = self.draw.sample(range(464_400, 467_820), len(rows))
        return [{**row, "id": str(number)} for row, number in zip(rows, ids, strict=True)]

    def _text(self):
        return self.draw.choice(TEXTS)

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        mine = [row for row in self.answers if row["own_query"]]
        for name, column in (("saved_results", "own_query"), ("gpt4o_first_turn_results", "own_query_rerun")):
            self.draw.shuffle(mine)
            told = [[r["id"], r["scenario_id"], *(self._text() for _ in range(3)), FLAG[r[column]]] for r in mine]
            header = ["id", "scenario_id", "body", "response", "conditions_text", "correct"]
            self._table(folder / f"{name}.csv", header, told)
        self._table(
            folder / "clean_prescored.csv", ["id", "correct", *FLAGS, "differential_correct_bot_count"], self._scored()
        )
        header = ["model_text", "scenario_id", "reverse", "model", "conditions", "differential_correct"]
        self._table(folder / "direct_trials_condition.csv", header, self._direct())
        header = ["scenario_id", "urgency", "red_flags", "condition"]
        told = [[r["scenario_id"], r["urgency"], f"['{MARK}', 'b']", r["condition"]] for r in self.scenarios]
        self._table(folder / "scenarios.csv", header, told)
        return folder

    def _scored(self):
        for row in self.answers:
            bot, either = row["conversation"] or "0", row["conversation_any"] or "0"
            user = str(int(either > bot))
            flags = [FLAG[one] for one in (row["decision"], either, bot, user)]
            yield [row["id"], FLAG[row["disposition"]], *flags, f"{bot}.0" if row["conversation"] else ""]

    def _direct(self):
        names = {"GPT-4o": "GPT 4o"}
        for row in self.alone:
            reverse = row["reverse"].capitalize()
            yield [
                self._text(),
                row["scenario_id"],
                reverse,
                names.get(row["model"], row["model"]),
                self._text(),
                FLAG[row["correct"]],
            ]

    @staticmethod
    def _table(path, header, rows):
        """As pandas writes: an unnamed index first."""
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["", *header])
            writer.writerows([number, *row] for number, row in enumerate(rows))


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
        Study=Study,
        Theirs=Theirs,
        MARK=MARK,
        tree=tree,
        read=read,
        run=run,
        done=done,
        ITEMS=ITEMS,
        PERSON=PERSON,
        WORDS=WORDS,
        COLUMNS=COLUMNS,
    )
