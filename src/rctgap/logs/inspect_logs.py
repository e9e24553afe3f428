"""Inspect evaluation logs, through inspect-ai's own reader (the extra `inspect`)."""

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rctgap.errors import DataError, Fault

__all__ = ["STOPPED", "inspect_samples", "is_inspect"]

type Record = tuple[str, dict[str, Any]]

STOPPED = "sample.stopped"
INSTALL = 'Install the extra: pip install "rctgap[inspect]"'
DAMAGE = (
    OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error
)  # fmt: skip
_HEAD = re.compile(rb'\s*\{\s*"(version|status)"\s*:\s*("\w+"|\d+)\s*,\s*"(status|eval)"\s*:')


def is_inspect(path: Path) -> bool:
    """Whether a file is called, or starts, like an Inspect log."""
    if path.suffix.lower() != ".json":
        return path.suffix.lower() == ".eval"
    with path.open("rb") as stream:
        return _HEAD.match(stream.read(4096)) is not None


def inspect_samples(path: Path) -> Iterator[Record]:
    """Samples of an Inspect log as records with `messages`.

    Fields are those of the sample's metadata, with `conversation` (the sample's id and epoch, where the metadata have
    none), `system` (the model) and `STOPPED` (what ended the sample early, where something did). Samples of an .eval
    file are read one at a time; a .json log is read whole, as inspect-ai does.

    Raises
    ------
    DataError
        inspect-ai is not installed, or its reader refuses the file.
    """
    try:
        from inspect_ai.log import read_eval_log, read_eval_log_samples  # noqa: PLC0415 - an extra
    except ImportError:
        what = "Inspect logs are read by inspect-ai, which is not installed"
        raise DataError(Fault(what, INSTALL, str(path))) from None
    name, single = str(path), path.suffix.lower() == ".eval"
    number = 0
    try:
        log = read_eval_log(name, header_only=single, resolve_attachments=True)
        samples = (
            read_eval_log_samples(name, all_samples_required=False, resolve_attachments=True)
            if single
            else log.samples or ()
        )
        for number, sample in enumerate(samples, 1):
            yield f"sample {number}", _record(sample, str(log.eval.model))
    except DAMAGE as error:
        what = f"inspect-ai cannot read the log ({type(error).__name__})"
        place = f"after sample {number}" if number else ""
        raise DataError(Fault(what, "Give an Inspect .eval or .json log", name, place)) from None


def _record(sample: Any, model: str) -> dict[str, Any]:
    stopped = ""
    if sample.error is not None:
        stopped = "stopped by an error"
    elif sample.limit is not None:
        stopped = f"stopped by a limit of kind {sample.limit.type}"
    key = f"{sample.id}-{sample.epoch}"
    said = [{"role": one.role, "content": one.text} for one in sample.messages]
    return {"conversation": key, **(sample.metadata or {}), "system": model, "messages": said, STOPPED: stopped}
