"""The repository as a stranger gets it: pinned packages, no machine's paths, one version, a set-up that speaks."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rctgap

ROOT = Path(__file__).parents[2]
HOSTS = tuple(
    "".join(pieces)
    for pieces in (
        ("py", "pi.org"),
        ("python", "hosted"),
        ("npm", "js."),
        ("ana", "conda."),
        ("deb", "ian.org"),
        ("cran.r-", "project"),
        ("cloud.r-", "project"),
        ("index", "-url"),
    )
)
MACHINE_FOLDERS = ("home", "root", "work", "tmp", "Users")
MACHINE_PATH = re.compile(r"(?<![A-Za-z0-9._-])/(?:" + "|".join(MACHINE_FOLDERS) + r")(?=/)")


def tracked(root: Path) -> list[Path]:
    """Files that git keeps, or would keep once added."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=root, capture_output=True, text=True, check=True).stdout
    return [root / name for name in names.split("\0") if name and (root / name).is_file()]


def place_breaches(files: list[Path], root: Path) -> list[str]:
    """Lines that name a machine's own folder or a host of packages."""
    breaches = []
    for path in files:
        for number, line in enumerate(path.read_bytes().decode(errors="ignore").splitlines(), 1):
            words = [host for host in HOSTS if host in line.lower()] + MACHINE_PATH.findall(line)
            breaches += [f"{path.relative_to(root)}:{number}: {word}" for word in words]
    return breaches


def lock_entries(text: str) -> list[str]:
    """Requirements of a lock file, each with its hashes on one line; comments dropped."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [entry for entry in "\n".join(lines).replace("\\\n", " ").splitlines() if entry.strip()]


def lock_breaches(text: str) -> list[str]:
    """Entries that are not a pinned name with hashes."""
    good = re.compile(r"[a-z0-9.-]+==[^\s;]+ *(;[^#]*?)?( +--hash=sha256:[0-9a-f]{64})+ *")
    breaches = [
        f"not pinned with hashes: {entry.strip()[:60]}" for entry in lock_entries(text) if not good.fullmatch(entry)
    ]
    return breaches + [f"an address: {line.strip()}" for line in text.splitlines() if "://" in line]


def lock_gaps(text: str, wanted: list[str]) -> list[str]:
    """Requirements of pyproject.toml that the lock does not hold at a version they allow."""
    pins: dict[str, list[str]] = {}
    for entry in lock_entries(text):
        name, _, rest = entry.partition("==")
        pins.setdefault(name, []).append(rest.split()[0])
    requirements = [Requirement(line) for line in wanted]
    return [
        str(requirement)
        for requirement in requirements
        if not any(version in requirement.specifier for version in pins.get(canonicalize_name(requirement.name), []))
    ]


@pytest.fixture(scope="module")
def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lock():
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_every_requirement_is_pinned_with_hashes(lock):
    assert len(lock_entries(lock)) > 0
    assert lock_breaches(lock) == []


def test_the_lock_holds_what_the_project_asks_for(lock, pyproject):
    groups = [line for group in pyproject["dependency-groups"].values() for line in group if isinstance(line, str)]
    wanted = pyproject["project"]["dependencies"] + groups + pyproject["build-system"]["requires"]
    assert lock_gaps(lock, wanted) == []


def test_no_file_names_a_machine_or_a_package_host():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: which files belong to the project is not known")
    breaches = place_breaches(tracked(ROOT), ROOT)
    assert not breaches, "\n".join(["", *breaches])


def test_one_version(pyproject):
    version = pyproject["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version
    assert rctgap.__version__ == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", ["scripts/setup", ".ci/run"])
def test_scripts_are_executable(script):
    assert os.access(ROOT / script, os.X_OK)


# ---------------------------------------------------------------- set-up

TOOLS = ("sh", "ls", "sed", "sort", "cat")


def run_setup(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/setup in a copy, on a machine with a few tools, one old python3 and nothing else."""
    shell = shutil.which("sh")
    assert shell
    scripts, tools = folder / "tree" / "scripts", folder / "bin"
    scripts.mkdir(parents=True)
    tools.mkdir()
    shutil.copy2(ROOT / "scripts" / "setup", scripts)
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    clean = {"PATH": str(tools), "HOME": str(folder)} | environment
    return subprocess.run([shell, scripts / "setup"], env=clean, capture_output=True, text=True, check=False)


def test_setup_says_when_there_is_no_python(tmp_path):
    run = run_setup(tmp_path)
    assert run.returncode == 2
    assert "no Python 3.12 or newer was found" in run.stderr
    assert f"{tmp_path}/.pyenv/versions" in run.stderr
    assert not (tmp_path / "tree" / ".venv").exists()


def test_setup_refuses_a_named_python_that_is_too_old(tmp_path):
    run = run_setup(tmp_path, PYTHON="python3")
    assert run.returncode == 2
    assert "PYTHON is 'python3'" in run.stderr


def test_setup_without_a_home_still_explains(tmp_path):
    run = run_setup(tmp_path, HOME="")
    assert run.returncode == 2
    assert "$HOME/.pyenv/versions" in run.stderr


# ---------------------------------------------------------------- the rules can fail

HASH = "--hash=sha256:" + "0" * 64


@pytest.mark.parametrize(
    "entry",
    [
        "numpy==2.2.0",
        f"numpy>=2.2.0 {HASH}",
        f"numpy @ file.whl {HASH}",
        "-e .",
        "--extra-index somewhere",
        f"numpy==2.2.0 {HASH} # https://somewhere",
    ],
)
def test_a_loose_lock_is_found(entry):
    assert lock_breaches(f"click==8.2.0 \\\n    {HASH}\n    # via nobody\n{entry}\n")


def test_a_tight_lock_passes():
    text = f"# a comment\nclick==8.2.0 ; os_name == 'nt' \\\n    {HASH} \\\n    {HASH}\n    # via nobody\n"
    assert lock_breaches(text) == []
    assert lock_gaps(text, ["click>=8"]) == []
    assert lock_gaps(text, ["click>=9", "numpy"]) == ["click>=9", "numpy"]


@pytest.mark.parametrize("folder", MACHINE_FOLDERS)
@pytest.mark.parametrize("before", ["", "see ", '"', "=", "(", "}"])
def test_a_machine_path_is_found(folder, before, tmp_path):
    (tmp_path / "note.md").write_text(f"a line\n{before}/{folder}/somebody\n")
    assert place_breaches([tmp_path / "note.md"], tmp_path) == [f"note.md:2: /{folder}"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_package_host_is_found(host, tmp_path):
    (tmp_path / "note.md").write_text(f"https://{host.upper()}/simple")
    assert place_breaches([tmp_path / "note.md"], tmp_path) == [f"note.md:1: {host}"]


def test_relative_paths_and_addresses_pass(tmp_path):
    (tmp_path / "note.md").write_text("src/root/x ./tmp/y https://example.org/home/z #!/usr/bin/env bash ../work/a")
    assert place_breaches([tmp_path / "note.md"], tmp_path) == []
