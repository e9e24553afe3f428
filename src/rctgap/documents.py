"""Reading small trusted-format documents (YAML, JSON) into strict models, with errors that name the place."""

import difflib
import hashlib
import json
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pydantic
import yaml

from rctgap.errors import Fault, RctgapError

__all__ = ["MAX_DOCUMENT_BYTES", "bounded", "load_text", "nearest", "parse", "read_document", "sha256"]

MAX_DOCUMENT_BYTES = 2_000_000
MAX_DEPTH = 20
MAX_VALUES = 50_000


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence that lists what is known and, where one is close, guesses what was meant."""
    words = sorted(known)
    guess = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    listing = f"Allowed: {', '.join(words)}" if words else "None is allowed here"
    return f"Did you mean {guess[0]!r}? {listing}" if guess else listing


class _UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses a key given twice instead of keeping the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        _refuse_duplicates(self, node)
        return super().construct_mapping(node, deep)


class _UniqueKeysText(yaml.BaseLoader):
    """The same, with every scalar kept as the text that was written (`Yes` stays `Yes`)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        _refuse_duplicates(self, node)
        return super().construct_mapping(node, deep)


def _refuse_duplicates(loader: yaml.BaseLoader | yaml.SafeLoader, node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key_node, _ in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
        seen.add(key)


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key!r} is given twice")
        result[key] = value
    return result


def read_document(path: Path, error: type[RctgapError], *, text_only: bool = False) -> Mapping[str, Any]:
    """Read a YAML or JSON mapping safely.

    Parameters
    ----------
    path : Path
        A `.yaml`, `.yml` or `.json` file of at most `MAX_DOCUMENT_BYTES`, in UTF-8.
    error : type
        The leaf of `RctgapError` to raise.
    text_only : bool
        Keep every YAML scalar as text.

    Raises
    ------
    RctgapError
        Of the type given: no such file, too large, not UTF-8, broken syntax, a key
        given twice, or not a mapping.
    """
    name = str(path)
    try:
        text = _text(path, error)
    except OSError as fault:
        raise error(Fault(f"the file cannot be read: {fault.strerror}", "Check its name and rights", name)) from None
    except UnicodeDecodeError as fault:
        raise error(Fault(f"byte {fault.start} is not UTF-8", "Save the file as UTF-8", name)) from None
    content = load_text(text, name, error, as_json=path.suffix == ".json", text_only=text_only)
    if not isinstance(content, dict):
        what = "the document is empty" if content is None else f"the document is {_shown(content)}"
        raise error(Fault(what, "A mapping of keys to values is expected", name))
    return content


def load_text(text: str, name: str, error: type[RctgapError], *, as_json: bool = False, text_only: bool = False) -> Any:
    """Load the text of a YAML or JSON document safely, whatever it holds.

    Parameters
    ----------
    text : str
    name : str
        The file, or what else the text is, for the message.
    error : type
        The leaf of `RctgapError` to raise.
    as_json : bool
        Whether it is JSON.
    text_only : bool
        Keep every YAML scalar as text.

    Raises
    ------
    RctgapError
        Of the type given: broken syntax, a tag, a key given twice, too deep or too large.
    """
    try:
        if as_json:
            content = json.loads(text, object_pairs_hook=_unique_pairs)
        else:
            content = yaml.load(text, Loader=_UniqueKeysText if text_only else _UniqueKeys)  # noqa: S506 - both are safe loaders
    except RecursionError:
        raise error(Fault("the document is nested too deeply", f"At most {MAX_DEPTH} levels", name)) from None
    except yaml.constructor.ConstructorError as fault:
        allowed = "Plain mappings, lists, text and numbers are allowed; tags are not, and a key is given once"
        raise error(Fault(_syntax(fault), allowed, name, _place(fault))) from None
    except (yaml.YAMLError, ValueError) as fault:
        raise error(Fault(_syntax(fault), "Correct the syntax", name, _place(fault))) from None
    bounded(content, name, error)
    return content


def _text(path: Path, error: type[RctgapError]) -> str:
    if not path.is_file():
        what = "this is not a file" if path.exists() else "no such file"
        raise error(Fault(what, "Give the path of a YAML or JSON file", str(path)))
    if path.stat().st_size > MAX_DOCUMENT_BYTES:
        allowed = f"At most {MAX_DOCUMENT_BYTES:,} bytes"
        raise error(Fault("the file is too large for a document of this kind", allowed, str(path)))
    return path.read_text(encoding="utf-8-sig")


def bounded(content: Any, name: str, error: type[RctgapError]) -> None:
    """Refuse what is nested too deeply or, aliases counted each time, holds too much; a cycle is both."""
    pending, visited = [(content, 1)], 0
    while pending:
        value, depth = pending.pop()
        visited += 1
        if depth > MAX_DEPTH or visited > MAX_VALUES:
            limits = f"At most {MAX_DEPTH} levels and {MAX_VALUES:,} values, aliases included"
            raise error(Fault("the document is nested too deeply or holds too much", limits, name))
        inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
        pending.extend((item, depth + 1) for item in inner)


def _syntax(fault: Exception) -> str:
    problem = getattr(fault, "problem", None) or str(fault) or type(fault).__name__
    return " ".join(str(problem).split())


def _place(fault: Exception) -> str:
    mark = getattr(fault, "problem_mark", None)
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def parse[M: pydantic.BaseModel](model: type[M], content: Any, file: str, error: type[RctgapError]) -> M:
    """Validate a document against its model; every fault found is reported, each with its key path and value."""
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as invalid:
        raise error(*(_fault(model, entry, file) for entry in invalid.errors())) from None


def _fault(model: type[pydantic.BaseModel], entry: Any, file: str) -> Fault:
    location = entry["loc"]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    match entry["type"]:
        case "extra_forbidden":
            known = _fields_at(model, location[:-1])
            return Fault("unknown key", nearest(str(location[-1]), known), file, path)
        case "missing":
            return Fault("a required key is missing", f"Add {str(location[-1])!r}", file, path)
        case _:
            given = entry["input"]
            shown = _shown(given)
            message = entry["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
            if entry["type"] == "model_type":
                message = "Input should be a mapping of keys to values"
            if message.startswith("Input should"):
                return Fault("this cannot be used", f"It{message.removeprefix('Input')}", file, path, value=shown[:120])
            what, _, allowed = message.partition(". ")
            return Fault(what, allowed or "Correct this key", file, path, value=shown[:120])


def _shown(given: Any) -> str:
    """A value as its author would call it."""
    if given is None:
        return "nothing"
    if isinstance(given, Mapping):
        return "a mapping"
    return "a list" if isinstance(given, list | tuple) else str(given)


def _fields_at(model: type[pydantic.BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Names allowed at a place in a model, found by walking its annotations."""
    current: Any = model
    for part in location:
        if not (isinstance(current, type) and issubclass(current, pydantic.BaseModel)):
            return []
        field = next((f for n, f in current.model_fields.items() if part in (n, f.alias)), None)
        if field is None:
            continue
        current = _inner_model(field.annotation)
    if isinstance(current, type) and issubclass(current, pydantic.BaseModel):
        return [field.alias or name for name, field in current.model_fields.items()]
    return []


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None
