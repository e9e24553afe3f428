"""JSON files of a result: strict, and one clear error where one is damaged."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rctgap.errors import Fault, OutputError

__all__ = ["brief", "read_json", "write_json"]


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document; NaN and infinity are refused."""
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Mapping[str, Any]:
    """Read a document.

    Raises
    ------
    OutputError
        It is missing or damaged, or holds no mapping.
    """
    if not path.is_file():
        raise OutputError(
            Fault("no result here", "Name a folder that rctgap wrote (it holds result.json)", str(path.parent))
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError, OSError) as damage:
        what = f"the file is damaged: {brief(damage) or type(damage).__name__}"
        raise OutputError(Fault(what, "Run the analysis again", str(path))) from None
    if not isinstance(content, dict):
        raise OutputError(Fault("the file does not hold a mapping", "Run the analysis again", str(path)))
    return content


def brief(damage: Exception) -> str:
    """The first line of what is wrong."""
    return next(iter(str(damage).splitlines()), "")[:120]


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
