"""Documentation that runs: examples of the pages in their order, examples of docstrings, links that lead somewhere."""

import contextlib
import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
EXAMPLES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKED = [*EXAMPLES, ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md"]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
SHELLS = {"sh", "bash", "shell", "zsh"}
TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Block:
    """A fenced block: the words after the fence, the line of its first row, its rows."""

    info: tuple[str, ...]
    line: int
    text: str

    @property
    def language(self) -> str:
        return self.info[0] if self.info else ""


@dataclass(frozen=True)
class Command:
    """A command of a console block, and what the page says it prints."""

    words: tuple[str, ...]
    line: int
    expected: str


def fenced_blocks(text: str) -> Iterator[Block]:
    fence, start, info, rows = "", 0, (), []
    for number, row in enumerate(text.splitlines(), 1):
        mark = re.match(r" {0,3}(`{3,})(.*)", row)
        if not fence and mark:
            fence, start, info, rows = mark[1], number + 1, tuple(mark[2].split()), []
        elif fence and row.strip() == fence:
            yield Block(info, start, "\n".join(rows) + "\n")
            fence = ""
        elif fence:
            rows.append(row)
    if fence:
        raise ValueError(f"line {start - 1}: the block is never closed")


def commands(block: Block) -> list[Command]:
    """Commands of a console block; a trailing backslash continues on the next row."""
    found: list[Command] = []
    rows = iter(enumerate(block.text.splitlines(), block.line))
    for line, row in rows:
        if row.startswith("$ "):
            text = row[2:]
            while text.endswith("\\"):
                text = text[:-1] + next(rows)[1].removeprefix("> ")
            found.append(Command(tuple(shlex.split(text, comments=True)), line, ""))
        elif found:
            last = found.pop()
            found.append(Command(last.words, last.line, f"{last.expected}{row}\n"))
    return found


def exit_code(block: Block) -> int:
    """0, unless the fence says `console exit=2`."""
    return next((int(word.removeprefix("exit=")) for word in block.info if word.startswith("exit=")), 0)


def run_page(text: str, name: str, folder: Path) -> list[str]:
    """Run a page's examples in their order, in one folder and one namespace; return what is not as written."""
    faults: list[str] = []
    names: dict[str, Any] = {}
    here = folder
    for block in fenced_blocks(text):
        if block.language == "console":
            for command in commands(block):
                here, fault = run_command(command, exit_code(block), here, folder)
                faults += [f"{name}:{command.line}: {fault}"] if fault else []
        elif block.language == "pycon" or ">>> " in block.text:
            with contextlib.chdir(here):
                faults += run_examples(block, name, names)
        elif block.language == "python":
            with contextlib.chdir(here):
                exec(compile("\n" * (block.line - 1) + block.text, name, "exec"), names)  # noqa: S102 - the page's own code
        elif block.language in SHELLS and re.search(r"^\s*(\$ )?rctgap ", block.text, flags=re.MULTILINE):
            faults.append(
                f"{name}:{block.line}: write the command as `$ rctgap ...` in a console block, so that it is run"
            )
    return faults


def run_command(command: Command, expected_code: int, here: Path, folder: Path) -> tuple[Path, str]:
    """Run `rctgap ...` and follow `cd ...`; other commands are for the reader."""
    program, *arguments = command.words or ("",)
    if program == "cd":
        there = (here / arguments[0]).resolve()
        inside = there.is_dir() and there.is_relative_to(folder.resolve())
        return (there, "") if inside else (here, f"cd: no folder {arguments[0]} was made by the page")
    if program != "rctgap":
        return here, ""
    if set(arguments) & {"|", "&&", ">", ">>", "<", "2>&1", ";"}:
        return here, "only a plain command can be run: no pipe, no redirection"
    installed = Path(sys.executable).parent / "rctgap"
    run = subprocess.run(
        [installed, *arguments],
        cwd=here,
        env=os.environ | {"COLUMNS": "120", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    if run.returncode != expected_code:
        return here, f"exit code {run.returncode}, not {expected_code}:\n{run.stdout}"
    if command.expected.strip() and not doctest.OutputChecker().check_output(command.expected, run.stdout, FLAGS):
        return here, f"the page shows\n{command.expected}\nthe command prints\n{run.stdout}"
    return here, ""


def run_examples(block: Block, name: str, names: dict[str, Any]) -> list[str]:
    test = doctest.DocTestParser().get_doctest(block.text, names, name, name, block.line - 1)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=report.append, clear_globs=False)
    names |= test.globs
    return ["".join(report)] if report else []


def without_blocks(text: str) -> str:
    """The page's prose: fenced blocks and code spans blanked, lines kept."""
    text = re.sub(
        r"^ {0,3}(`{3,}).*?^ {0,3}\1", lambda m: "\n" * m[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL
    )
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(text: str) -> set[str]:
    """The names that headings get as link targets."""
    prose = re.sub(r"^ {0,3}(`{3,}).*?^ {0,3}\1", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#{1,6} +(.+?) *#*$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def link_faults(page: Path, root: Path) -> list[str]:
    """Relative links of a page that leave the repository, or lead to no file or heading."""
    faults = []
    for number, row in enumerate(without_blocks(page.read_text(encoding="utf-8")).splitlines(), 1):
        for target in re.findall(r"\]\(<?([^)\s>]+)", row) + re.findall(r"^\[[^\]]+\]: *(\S+)", row):
            if re.match(r"[a-z][a-z+.-]*:", target):
                continue
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            place = f"{page.relative_to(root)}:{number}: {target}"
            if not there.is_relative_to(root.resolve()) or not there.exists():
                faults.append(f"{place} does not exist")
            elif anchor and there.suffix == ".md" and anchor not in anchors(there.read_text(encoding="utf-8")):
                faults.append(f"{place}: no such heading")
    return faults


def module_names(package: Path) -> list[str]:
    names = []
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        if parts[-1] != "__main__":
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


# ---------------------------------------------------------------- the documentation


def identify(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.filterwarnings("ignore::rctgap.errors.RctgapWarning")  # limits of the examples' own small trials
@pytest.mark.parametrize("page", EXAMPLES, ids=identify)
def test_the_examples_of_a_page_run(page, tmp_path):
    faults = run_page(page.read_text(encoding="utf-8"), identify(page), tmp_path)
    assert not faults, "\n".join(["", *faults])


@pytest.mark.parametrize("page", LINKED, ids=identify)
def test_links_lead_somewhere(page):
    assert link_faults(page, ROOT) == []


@pytest.mark.parametrize("name", module_names(SOURCE / "rctgap"))
def test_the_examples_of_a_module_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name), optionflags=FLAGS).failed == 0


# ---------------------------------------------------------------- the checks can fail


def fence(info: str, text: str) -> str:
    return f"Words.\n\n```{info}\n{text}\n```\n"


GOOD_PAGES = {
    "state is kept": fence("pycon", ">>> a = 1") + fence("python", "b = a + 1") + fence("pycon", ">>> b\n2"),
    "ellipsis": fence("", ">>> list(range(9))\n[0, ..., 8]"),
    "reader's commands": fence("console", "$ make test\n$ git status | head"),
    "other languages": fence("yaml", "a: 1") + fence("text", "rctgap is a word"),
}
BAD_PAGES = {
    "wrong value": (fence("pycon", ">>> 1 + 1\n3"), "Expected:"),
    "exception": (fence("pycon", ">>> 1 / 0"), "ZeroDivisionError"),
    "pipe": (fence("console", "$ rctgap --help | head"), "no pipe"),
    "lost folder": (fence("console", "$ cd nowhere"), "page.md:4: cd: no folder nowhere"),
    "outside": (fence("console", "$ cd .."), "cd: no folder"),
    "not run": (fence("bash", "rctgap --version"), "console block"),
}
ECHO = '#!/bin/sh\necho told "$@"\ntest "$1" != fail || exit 2\n'


@pytest.fixture
def echo(tmp_path, monkeypatch):
    """A stand-in for the installed command, which repeats its arguments and exits 2 if told to fail."""
    program = tmp_path / "bin" / "rctgap"
    program.parent.mkdir()
    program.write_text(ECHO)
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))


@pytest.mark.parametrize("case", GOOD_PAGES)
def test_a_true_page_passes(case, tmp_path):
    assert run_page(GOOD_PAGES[case], "page.md", tmp_path) == []


@pytest.mark.parametrize("case", BAD_PAGES)
def test_a_false_page_is_found(case, tmp_path):
    text, expected = BAD_PAGES[case]
    faults = run_page(text, "page.md", tmp_path)
    assert len(faults) == 1
    assert expected in faults[0]


def test_a_failing_python_block_is_found(tmp_path):
    with pytest.raises(NameError):
        run_page(fence("python", "unknown"), "page.md", tmp_path)


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize(
    ("block", "fault"),
    [
        (fence("console", "$ rctgap one 'two three'\ntold one two three"), ""),
        (fence("console", "$ rctgap one \\\n>   two\ntold ... two"), ""),
        (fence("console", "$ rctgap one  # a remark\n$ rctgap two\ntold two"), ""),
        (fence("console exit=2", "$ rctgap fail"), ""),
        (fence("console", "$ rctgap fail"), "page.md:4: exit code 2, not 0"),
        (fence("console exit=2", "$ rctgap fine"), "page.md:4: exit code 0, not 2"),
        (fence("console", "$ rctgap one\n$ rctgap two\ntold three"), "page.md:5: the page shows"),
    ],
)
def test_commands_are_held_to_the_page(block, fault, tmp_path):
    faults = run_page(block, "page.md", tmp_path)
    assert [text[: len(fault)] for text in faults] == ([fault] if fault else [])


def test_an_open_block_is_found():
    with pytest.raises(ValueError, match="line 1: the block is never closed"):
        list(fenced_blocks("```python\n1\n"))


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("[a](other.md)", ""),
        ("![a](other.md#a-heading-of-one)", ""),
        ("[a](#this-page)", ""),
        ("[a](https://example.org/nothing) `[a](gone.md)`", ""),
        ("[a](gone.md)", "page.md:2: gone.md does not exist"),
        ("[a]: gone.md", "page.md:2: gone.md does not exist"),
        ("[a](../outside.md)", "page.md:2: ../outside.md does not exist"),
        ("[a](other.md#nothing)", "page.md:2: other.md#nothing: no such heading"),
        ("[a](#nothing)", "page.md:2: #nothing: no such heading"),
    ],
)
def test_links_are_held_to_the_files(link, fault, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.md").write_text("outside")
    (root / "other.md").write_text("## A heading, of `one`\n")
    (root / "page.md").write_text(f"# This page\n{link}\n")
    assert link_faults(root / "page.md", root) == ([fault] if fault else [])


def test_modules_are_named_as_they_are_imported(tmp_path):
    for name in ("__init__.py", "__main__.py", "one.py", "two/__init__.py", "two/three.py"):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_text("")
    assert module_names(tmp_path / "p") == ["p", "p.one", "p.two", "p.two.three"]
