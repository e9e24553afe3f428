"""The wheel holds all that the commands need, and works away from the source tree."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "rctgap"
NEEDED = ("build", "hatchling", "pip")
LACKING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
CALL = "import sys; sys.argv[:1] = ['rctgap']; from rctgap.cli import main; main()"

pytestmark = pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}")


def called(*command, **options):
    return subprocess.run(list(command), capture_output=True, text=True, timeout=200, check=False, **options)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from the source tree, which stays as it was."""
    place = tmp_path_factory.mktemp("wheel")
    run = called(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(place), str(ROOT))
    assert run.returncode == 0, run.stdout + run.stderr
    (found,) = place.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The wheel alone in a folder, installed without an index."""
    place = tmp_path_factory.mktemp("installed") / "site"
    run = called(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(place), str(wheel)
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return place


def away(installed, folder, *command):
    """A Python that sees the wheel's folder, and the source tree no more."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    return called(sys.executable, *command, cwd=folder, env=environment)


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    held = {name for name in names if ".dist-info/" not in name}
    tree = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == tree
    assert len(names) == len(set(names))
    for suffix in (".csv", ".yaml"):
        assert any(name.startswith("rctgap/datasets/raman2026/") and name.endswith(suffix) for name in held)
    assert any(name.startswith("rctgap/report/templates/") for name in held)
    assert "rctgap/py.typed" in held
    assert not any("test" in Path(name).parts[0] for name in names)


def test_the_wheel_carries_licence_command_and_dependencies(wheel):
    with zipfile.ZipFile(wheel) as archive:
        info = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert "rctgap = rctgap.cli:main" in info["entry_points.txt"]
    assert "BSD 3-Clause" in info["LICENSE"]
    assert "License-Expression: BSD-3-Clause" in info["METADATA"]
    assert "Requires-Dist: pandas" in info["METADATA"]
    assert "pytest" not in info["METADATA"]


def test_the_source_tree_is_out_of_sight(installed, tmp_path):
    run = away(installed, tmp_path, "-c", "import rctgap; print(rctgap.__file__)")
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip()) == installed / "rctgap" / "__init__.py"


def test_the_case_study_runs_from_the_wheel(installed, tmp_path):
    run = away(installed, tmp_path, "-c", CALL, "reproduce", "raman2026", "--out", "out", "--quiet")
    assert (run.returncode, run.stdout) == (0, ""), run.stderr
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000
    assert len(list((tmp_path / "out").glob("*/result.json"))) == 9
