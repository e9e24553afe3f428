"""Who may import what. The rows of ARCHITECTURE.md are the order; every rule is shown to be able to fail."""

import ast
import graphlib
import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 400
NO_FRAMES = {
    "variance",
    "intervals",
    "inversion",
    "wild",
    "randomisation",
    "resampling",
    "models",
    "betting",
    "drawing",
    "few_items",
    "criticism",
    "cross_validation",
    "equivalence",
    "pooling",
    "rectification",
    "rogan_gladen",
    "chance_agreement",
    "agreement",
}
ONLY_IN: dict[str, set[str]] = {
    "matplotlib": {"plots"},
    "pymc": {"models", "bayesian"},
    "arviz": set(),  # loads matplotlib; arviz_base and arviz_stats do not
}
NETWORK = {
    "aiohttp",
    "ftplib",
    "http.client",
    "httpx",
    "requests",
    "smtplib",
    "socket",
    "urllib.request",
    "urllib3",
}
MAY_CONNECT = "scorers/judge_client.py"
UNPICKLERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
UNPICKLING_METHODS = {"read_pickle", "to_pickle"}
CODE_FROM_TEXT = {"eval", "exec", "compile"}
YAML_LOADERS = {"load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all"}
DYNAMIC_IMPORTS = {"__import__", "import_module"}
CATCH_ALL = {"Exception", "BaseException"}


@dataclass(frozen=True)
class Import:
    """One imported name: `from a.b import c` is `a.b.c`."""

    name: str
    line: int
    deferred: bool
    typing_only: bool


@dataclass(frozen=True)
class Module:
    """One file of the package; `unit` is its row in the table (`name`, or `name/` for a package)."""

    file: str
    dotted: str
    unit: str
    tree: ast.Module
    lines: int
    imports: tuple[Import, ...]


@dataclass(frozen=True)
class Page:
    """What ARCHITECTURE.md states: the rows in order, and the imports allowed against the order."""

    rows: tuple[str, ...]
    layers: tuple[str, ...]
    exceptions: frozenset[tuple[str, str]] = field(default_factory=frozenset)


def read_page(text: str) -> Page:
    rows: list[str] = []
    layers: list[str] = []
    for layer, names in re.findall(r"^\| *(\d+|-) *\| *([^|]+?) *\|", text, flags=re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", names):
            rows.append(name)
            layers.append(layer)
    exceptions = re.findall(r"^\| *`([^`]+)` -> `([^`]+)` *\|", text, flags=re.MULTILINE)
    return Page(tuple(rows), tuple(layers), frozenset(exceptions))


def read_package(package: Path) -> list[Module]:
    modules = []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        parts = [package.name, *relative.with_suffix("").parts]
        dotted = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        unit = relative.stem if len(relative.parts) == 1 else f"{relative.parts[0]}/"
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, filename=str(path))
        imports = tuple(_imports(tree))
        modules.append(Module(relative.as_posix(), dotted, unit, tree, len(text.splitlines()), imports))
    return modules


def _imports(node: ast.AST, *, deferred: bool = False, typing_only: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import(names=names):
                yield from (Import(alias.name, child.lineno, deferred, typing_only) for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield from (Import(f"{module}.{alias.name}", child.lineno, deferred, typing_only) for alias in names)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _imports(child, deferred=True, typing_only=typing_only)
            case ast.If(test=test, body=body, orelse=orelse) if _is_type_checking(test):
                yield from _imports(ast.Module(body, []), deferred=True, typing_only=True)
                yield from _imports(ast.Module(orelse, []), deferred=deferred, typing_only=typing_only)
            case _:
                yield from _imports(child, deferred=deferred, typing_only=typing_only)


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def units_on_disk(package: Path) -> set[str]:
    files = {path.stem for path in package.glob("*.py")} - {"__init__"}
    kept = (path for path in package.iterdir() if path.is_dir() and path.name != "__pycache__")
    return files | {
        f"{path.name}/" for path in kept if any(f.is_file() and f.suffix != ".pyc" for f in path.rglob("*"))
    }


def table_breaches(package: Path, page: Page) -> list[str]:
    """The table lists every module once, lists nothing else, and its layers do not descend."""
    listed, there = set(page.rows), units_on_disk(package)
    breaches = [f"`{unit}` is in the package, not in the table" for unit in sorted(there - listed)]
    breaches += [f"`{unit}` is in the table, not in the package" for unit in sorted(listed - there)]
    breaches += [f"`{unit}` is listed twice" for unit in sorted(listed) if page.rows.count(unit) > 1]
    ranks = [float("inf") if layer == "-" else int(layer) for layer in page.layers]
    steps = itertools.pairwise(zip(page.rows, ranks, strict=True))
    breaches += [f"`{unit}` stands under a higher layer" for (_, before), (unit, after) in steps if after < before]
    return breaches


def layer_breaches(modules: list[Module], page: Page, root: str = "rctgap") -> list[str]:
    """A module imports only from rows above it, save the deferred exceptions the page states."""
    rank = {unit: number for number, unit in enumerate(page.rows)}
    breaches, used = [], set()
    for module in modules:
        if module.unit not in rank:  # the root is no row; a module without a row is another test's breach
            continue
        for item in module.imports:
            if not _within(item.name, root) or item.name == f"{root}.__version__":
                continue
            source = item.name.rpartition(".")[0] or item.name
            place = f"{module.file}:{item.line}: `{module.unit}` imports from {source}"
            head = item.name.split(".")[1] if "." in item.name else ""
            target = next((unit for unit in (head, f"{head}/") if unit in rank), None)
            if target is None:
                breaches.append(f"{place}; import from the module that defines the name, and list that module")
            elif (module.unit, target) in page.exceptions and item.deferred:
                used.add((module.unit, target))
            elif target != module.unit and rank[target] >= rank[module.unit]:
                breaches.append(f"{place}, whose row is not above its own")
    unused = sorted(page.exceptions - used)
    breaches = list(dict.fromkeys(breaches))
    return breaches + [f"no deferred import from `{start}` to `{end}` uses its exception" for start, end in unused]


def cycle_breaches(modules: list[Module]) -> list[str]:
    """Files of one sub-package import one another without a cycle."""
    known = {module.dotted for module in modules}
    graph = {}
    for module in modules:
        if not module.unit.endswith("/"):
            continue
        siblings = {other.dotted for other in modules if other.unit == module.unit}
        found = {_defining_module(item.name, known) for item in module.imports}
        graph[module.dotted] = found & siblings
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as cycle:
        return [f"imports go round: {' <- '.join(cycle.args[1])}"]
    return []


def _defining_module(name: str, known: set[str]) -> str:
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def root_breaches(modules: list[Module], root: str = "rctgap") -> list[str]:
    """The package's `__init__` loads the standard library at most; all else is deferred."""
    return [
        f"{module.file}:{item.line}: {item.name} is imported at once"
        for module in modules
        if module.dotted == root
        for item in module.imports
        if not item.deferred and item.name.split(".")[0] not in sys.stdlib_module_names
    ]


def third_party_breaches(modules: list[Module]) -> list[str]:
    """Arrays see no frame; matplotlib and PyMC stay in their modules; nothing talks to a network or unpickles."""
    breaches = []
    for module in modules:
        unit = module.unit.rstrip("/")
        for item in module.imports:
            top = item.name.split(".")[0]
            place = f"{module.file}:{item.line}: {item.name}"
            if top == "pandas" and unit in NO_FRAMES:
                breaches.append(f"{place} in a module of array functions")
            if unit not in ONLY_IN.get(top, {unit}) and not item.typing_only:
                breaches.append(f"{place} belongs in {sorted(ONLY_IN[top]) or 'no module'}")
            connects = any(_within(item.name, library) for library in NETWORK)
            if connects and not str(module.file).endswith(MAY_CONNECT):
                breaches.append(f"{place} opens network connections")
            if top in UNPICKLERS:
                breaches.append(f"{place} unpickles")
    return breaches


def style_breaches(modules: list[Module]) -> list[str]:
    """Absolute, static imports; no catch-all; no code made of text; YAML loaded in `documents` alone; short modules."""
    breaches = []
    for module in modules:
        if module.lines > MAX_LINES:
            breaches.append(f"{module.file}: {module.lines} lines, at most {MAX_LINES}")
        for node in ast.walk(module.tree):
            fault = _fault(node, module)
            if fault:
                breaches.append(f"{module.file}:{getattr(node, 'lineno', 0)}: {fault}")
    return breaches


def _fault(node: ast.AST, module: Module) -> str | None:
    fault = None
    match node:
        case ast.ImportFrom(level=level) if level:
            fault = "a relative import"
        case ast.ImportFrom(module="yaml", names=names) if any(alias.name in YAML_LOADERS for alias in names):
            fault = None if module.unit == "documents" else "YAML is loaded in `documents` only"
        case ast.Attribute(value=ast.Name(id="yaml"), attr=attr) if attr in YAML_LOADERS:
            fault = None if module.unit == "documents" else "YAML is loaded in `documents` only"
        case ast.Attribute(attr=attr) if attr in UNPICKLING_METHODS:
            fault = "pickles"
        case ast.keyword(arg="allow_pickle", value=ast.Constant(value=value)) if value:
            fault = "unpickles"
        case ast.ExceptHandler(type=caught) if caught is None or CATCH_ALL & _names(caught):
            fault = "catches every exception"
        case ast.Call(func=ast.Name(id=name)) if name in CODE_FROM_TEXT:
            fault = f"{name}() makes code of text"
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in DYNAMIC_IMPORTS:
            fault = None if module.file == "__init__.py" else "an import that no table shows"
    return fault


def _names(expression: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


# ---------------------------------------------------------------- the package


def hold(breaches: list[str]) -> None:
    assert not breaches, "\n".join(["", *breaches])


PACKAGE = ROOT / "src" / "rctgap"


@pytest.fixture(scope="module")
def page() -> Page:
    return read_page((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    return read_package(PACKAGE)


def test_the_table_lists_the_modules(page):
    hold(table_breaches(PACKAGE, page))


def test_imports_go_up_the_table(modules, page):
    hold(layer_breaches(modules, page))


@pytest.mark.parametrize("rule", [cycle_breaches, root_breaches, third_party_breaches, style_breaches])
def test_the_package_keeps_the_rule(rule, modules):
    hold(rule(modules))


HEAVY = ("pandas", "pymc", "matplotlib", "scipy", "statsmodels", "pyarrow", "pandera")
HELP = (
    "import sys; sys.argv = ['rctgap', '--help']\nfrom rctgap.cli import main\ntry: main()\nexcept SystemExit: pass\n"
)


@pytest.mark.parametrize("start", ["import rctgap\n", HELP], ids=["import", "help"])
def test_a_start_loads_nothing_heavy(start):
    ask = f"import sys\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", start + ask], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr.split()) == (0, []), run.stderr


# ---------------------------------------------------------------- the rules can fail

PAGE = """
| layer | module | what |
|---|---|---|
| 0 | `errors`, `stages` | Words. |
| 3 | `variance` | Arrays. |
| 5 | `checks/` | Checks. |
| 6 | `plots` | Pictures. |

| import | why |
|---|---|
| `variance` -> `plots` | A reason. |
"""
CLEAN = {
    "__init__.py": "import sys\ndef __getattr__(name):\n    from rctgap import variance\n",
    "errors.py": "class Fault(ValueError): ...\n",
    "stages.py": "from rctgap.errors import Fault\n",
    "variance.py": "import numpy\nfrom rctgap import __version__\ndef draw():\n    from rctgap.plots import draw\n",
    "checks/__init__.py": "from rctgap.checks.one import check\n",
    "checks/one.py": "from rctgap.variance import draw\nfrom rctgap.checks.base import Check\n",
    "checks/base.py": "from rctgap import errors\n",
    "plots.py": "import matplotlib.pyplot as plt\nimport pandas\n",
}


def all_breaches(package: Path, text: str = PAGE) -> list[str]:
    page, modules = read_page(text), read_package(package)
    per_file: list[Callable[[list[Module]], list[str]]] = [
        cycle_breaches,
        root_breaches,
        third_party_breaches,
        style_breaches,
    ]
    found = table_breaches(package, page) + layer_breaches(modules, page)
    return found + [breach for rule in per_file for breach in rule(modules)]


def write(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "rctgap"
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return package


def test_a_clean_tree_has_no_breach(tmp_path):
    assert all_breaches(write(tmp_path, CLEAN)) == []


TYPING = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
BREACHES = {
    "upward import": ("errors.py", "from rctgap.variance import draw", "not above"),
    "later in its own row": ("errors.py", "import rctgap.stages", "not above"),
    "upward import, deferred": ("errors.py", "def f():\n    from rctgap import plots", "not above"),
    "exception, not deferred": ("variance.py", "from rctgap.plots import draw", "not above"),
    "exception, unused": ("variance.py", "import numpy", "uses its exception"),
    "through the package root": ("plots.py", "from rctgap import draw", "module that defines"),
    "package root itself": ("plots.py", "import rctgap", "module that defines"),
    "unlisted module": ("extra.py", "", "not in the table"),
    "unlisted folder": ("data/counts.csv", "a,b", "not in the table"),
    "cycle in a package": ("checks/base.py", "from rctgap.checks import one", "go round"),
    "cycle through its init": ("checks/base.py", "from rctgap.checks import check", "go round"),
    "eager root": ("__init__.py", "from rctgap.errors import Fault", "at once"),
    "eager root, third party": ("__init__.py", "import numpy", "at once"),
    "frame among arrays": ("variance.py", "from pandas import DataFrame", "array functions"),
    "frame among arrays, deferred": ("variance.py", "def f():\n    import pandas as pd", "array functions"),
    "matplotlib elsewhere": ("checks/one.py", "from matplotlib import pyplot", "belongs in"),
    "matplotlib elsewhere, deferred": ("stages.py", "def f():\n    from matplotlib.axes import Axes", "belongs in"),
    "frame among arrays, typing only": ("variance.py", f"{TYPING}    from pandas import DataFrame", "array functions"),
    "pymc elsewhere": ("stages.py", "import pymc as pm", "belongs in"),
    "arviz": ("plots.py", "import arviz as az", "no module"),
    "requests": ("stages.py", "import requests", "network"),
    "urllib": ("stages.py", "from urllib import request", "network"),
    "http": ("stages.py", "import http.client", "network"),
    "socket": ("stages.py", "from socket import create_connection", "network"),
    "pickle": ("stages.py", "from pickle import loads", "unpickles"),
    "pandas pickle": ("plots.py", "import pandas\nframe = pandas.read_pickle('x')", "pickles"),
    "numpy pickle": ("stages.py", "load('x', allow_pickle=True)", "unpickles"),
    "eval": ("stages.py", "eval('1')", "code of text"),
    "exec": ("stages.py", "exec('1')", "code of text"),
    "yaml": ("stages.py", "import yaml\nyaml.load('a', Loader=yaml.SafeLoader)", "`documents` only"),
    "yaml by name": ("stages.py", "from yaml import unsafe_load", "`documents` only"),
    "dynamic import": ("stages.py", "import importlib\nimportlib.import_module('rctgap.plots')", "no table"),
    "relative import": ("stages.py", "from . import errors", "relative"),
    "too long": ("stages.py", "\n" * (MAX_LINES + 1), "at most"),
    "bare except": ("stages.py", "try:\n    1\nexcept:\n    2", "every exception"),
    "except Exception": ("stages.py", "try:\n    1\nexcept Exception:\n    2", "every exception"),
    "except in a tuple": ("stages.py", "try:\n    1\nexcept (OSError, BaseException):\n    2", "every exception"),
}


@pytest.mark.parametrize("case", BREACHES)
def test_a_breach_is_found(case, tmp_path):
    file, text, expected = BREACHES[case]
    found = all_breaches(write(tmp_path, CLEAN | {file: text}))
    assert [breach for breach in found if expected in breach], found


def test_a_module_that_is_gone_is_found(tmp_path):
    files = {name: text for name, text in CLEAN.items() if name != "stages.py"}
    assert all_breaches(write(tmp_path, files)) == ["`stages` is in the table, not in the package"]


def test_a_table_out_of_order_is_found(tmp_path):
    package = write(tmp_path, CLEAN)
    assert "`variance` stands under a higher layer" in all_breaches(package, PAGE.replace("| 0 |", "| 4 |"))


def test_a_type_may_be_named_anywhere(tmp_path):
    files = CLEAN | {"stages.py": f"{TYPING}    from matplotlib.figure import Figure"}
    assert all_breaches(write(tmp_path, files)) == []


def test_yaml_is_welcome_in_documents(tmp_path):
    text = PAGE.replace("`stages`", "`stages`, `documents`")
    assert all_breaches(write(tmp_path, CLEAN | {"documents.py": "import yaml\nyaml.load('a')"}), text) == []
