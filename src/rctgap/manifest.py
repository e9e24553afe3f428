"""What a run was made from: hashes, versions, revision, seed, arguments."""

import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from rctgap.documents import sha256
from rctgap.results import GapDecomposition

__all__ = ["manifest_of"]

PACKAGES = (
    "rctgap",
    "numpy",
    "pandas",
    "scipy",
    "statsmodels",
    "linearmodels",
    "pandera",
    "pyarrow",
    "arviz-stats",
    "xarray",
    "h5netcdf",
    "pymc",
)


def manifest_of(
    result: GapDecomposition,
    inputs: Mapping[str, Path] | None = None,
    *,
    analysis: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """What is needed to make a result again, without the clock and without absolute paths.

    Parameters
    ----------
    result : GapDecomposition
    inputs : mapping of role to Path, optional
        Files behind the result; its git revision is that of the first one's folder.
    analysis : mapping, optional
        The analysis as plain values.
    seed : int, optional
    """
    files = dict(inputs or {})
    settings = result.settings
    return {
        "schema": "rctgap/manifest/1",
        "inputs": [row for role, path in files.items() for row in _hashed(role, path)],
        "analysis": dict(analysis or {}),
        "card": None if result.card is None else {"name": result.card.name, "sha256": result.card.sha256},
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "git_revision": _revision(next(iter(files.values())).parent) if files else "",
        "seed": seed,
        "sampler": None if result.sampling is None else asdict(result.sampling),
        "interval": {"level": settings.level, "kinds": sorted({row.interval for row in result.main() if row.interval})},
        "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "warnings": list(result.warnings),
    }


def _hashed(role: str, path: Path) -> Iterator[dict[str, str]]:
    """Name and hash of a file, or of every file of a folder."""
    if path.is_dir():
        inside = sorted(one for one in path.iterdir() if one.is_file())
        yield from ({"role": role, "file": f"{path.name}/{one.name}", "sha256": sha256(one)} for one in inside)
    else:
        yield {"role": role, "file": path.name, "sha256": sha256(path)}


def _revision(folder: Path) -> str:
    """Git revision of the folder that holds the analysis; empty outside a checkout or without git."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - the user's own git
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
