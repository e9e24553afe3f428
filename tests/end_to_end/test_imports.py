"""Starting up is light: help and the bare import load none of the heavy packages."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"pandas", "numpy", "scipy", "matplotlib", "pydantic", "pandera", "pyarrow", "statsmodels", "jinja2", "yaml"}
COMMAND = Path(sys.executable).with_name("rctgap")
LOADED = "import sys; print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))"
HELP = "import click.testing, rctgap.cli; print(click.testing.CliRunner().invoke(rctgap.cli.main, {}).stdout)"


def loaded(code):
    run = subprocess.run([sys.executable, "-c", f"{code}\n{LOADED}"], capture_output=True, text=True, check=True)
    return run.stdout, set(run.stdout.partition("loaded: ")[2].split())


def test_the_probe_sees_what_is_loaded():
    _, found = loaded("import pandas")
    assert {"pandas", "numpy"} <= found


def test_the_bare_import_is_light():
    _, found = loaded("import rctgap; rctgap.__version__; dir(rctgap)")
    assert "rctgap" in found
    assert found & HEAVY == set()


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["decompose", "--help"], ["reproduce", "--help"], ["card", "check", "--help"]],
)
def test_help_is_light(arguments):
    told, found = loaded(HELP.format(arguments))
    assert "rctgap" in told
    assert found & HEAVY == set()


def test_the_installed_command_is_light():
    run = subprocess.run(
        [sys.executable, "-X", "importtime", str(COMMAND), "--help"], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("Usage: rctgap")
    found = {line.rpartition("|")[2].strip().partition(".")[0] for line in run.stderr.splitlines()}
    assert "click" in found
    assert found & HEAVY == set()


def test_reading_a_card_draws_nothing_and_computes_nothing():
    _, found = loaded("import rctgap\nrctgap.read_card({'task': {'a': {'question': 'b', 'answer': 'c'}}})")
    assert "yaml" in found
    assert found & {"pandas", "numpy", "scipy", "matplotlib"} == set()


def test_every_public_name_is_found_on_first_use():
    each = "print(*(type(getattr(rctgap, name)).__name__ for name in rctgap.__all__))"
    told, found = loaded(f"import rctgap\nassert rctgap.__all__\n{each}")
    assert "function" in told
    assert "pandas" in found


def test_an_unknown_name_is_an_attribute_error():
    told, _ = loaded("import rctgap\ntry:\n    rctgap.decomposse\nexcept AttributeError as error:\n    print(error)")
    assert "decomposse" in told
