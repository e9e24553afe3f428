"""Literals in cells of untrusted files: JSON first, then Python's, with limits checked before anything is parsed."""

import ast
import json
import re
import warnings
from typing import Any

__all__ = ["LiteralError", "TwiceError", "literal", "once"]

type Plain = str | int | float | bool | list["Plain"] | dict[str, "Plain"] | None

# A quote that is never closed runs to the end, so that no text is scanned twice.
_QUOTED = re.compile(
    r"'[^'\\]*+(?:\\.[^'\\]*+)*+(?P<one>'|\\?\Z)|\"[^\"\\]*+(?:\\.[^\"\\]*+)*+(?P<two>\"|\\?\Z)", re.DOTALL
)
_BRACKET = re.compile(r"[\[\](){}]")


class LiteralError(ValueError):
    """A text is no literal, or beyond a limit; the message holds none of it."""


class TwiceError(LiteralError):
    """A mapping gives a key twice."""


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Pairs of a JSON object as a mapping.

    Raises
    ------
    TwiceError
        A key is given twice.

    Examples
    --------
    >>> from rctgap.logs.literals import once
    >>> once([("role", "user"), ("content", "It hurts.")])
    {'role': 'user', 'content': 'It hurts.'}
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise TwiceError("a key is given twice")
    return found


def literal(text: str, *, max_chars: int, max_depth: int, max_values: int) -> Plain:
    r"""Read a list, mapping, text or number; nothing is ever evaluated.

    Parameters
    ----------
    text : str
        JSON or, failing that, a Python literal. Tuples become lists, and keys texts.
    max_chars : int
        Longest text.
    max_depth : int
        Deepest nesting of brackets.
    max_values : int
        Most values, counted as brackets and separators outside of quotes.

    Raises
    ------
    LiteralError
        The text is no such literal, is cut off, gives a key twice, or is beyond a limit. A `ValueError`.

    Examples
    --------
    >>> from rctgap.logs.literals import literal
    >>> literal("['it\\'s', \"a\"]", max_chars=100, max_depth=3, max_values=10)
    ["it's", 'a']
    >>> literal("__import__('os')", max_chars=100, max_depth=3, max_values=10)
    Traceback (most recent call last):
    ...
    rctgap.logs.literals.LiteralError: neither JSON nor a plain literal
    """
    if len(text) > max_chars:
        raise LiteralError(f"longer than {max_chars:,} characters")
    closed = _within(text, max_depth, max_values)
    try:
        return _plain(json.loads(text, object_pairs_hook=once))
    except TwiceError:
        raise
    except (ValueError, RecursionError):
        pass
    if not closed:
        raise LiteralError("cut off: a quote or bracket stays open")
    return _python(text)


def _within(text: str, max_depth: int, max_values: int) -> bool:
    """Refuse what is beyond the limits; says whether every quote and bracket is closed."""
    closed = True

    def bare(quoted: re.Match[str]) -> str:
        nonlocal closed
        closed = closed and bool(quoted["one"] or quoted["two"])
        return ""

    outside = _QUOTED.sub(bare, text)
    if "#" in outside:  # a comment could hide what follows from the count
        raise LiteralError("neither JSON nor a plain literal")
    if sum(outside.count(one) for one in ",:[({") > max_values:
        raise LiteralError(f"more than {max_values:,} values")
    depth = 0
    for one in _BRACKET.finditer(outside):
        depth += 1 if one[0] in "[({" else -1
        if depth > max_depth:
            raise LiteralError(f"nested deeper than {max_depth}")
    return closed and depth <= 0


def _python(text: str) -> Plain:
    """A Python literal without JSON's spelling."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # backslashes that escape nothing
            tree = ast.parse(text.strip(), mode="eval")
        if any(isinstance(one, ast.Dict) and _repeats(one) for one in ast.walk(tree)):
            raise TwiceError("a key is given twice")
        return _plain(ast.literal_eval(tree))
    except LiteralError:
        raise
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise LiteralError("neither JSON nor a plain literal") from None


def _repeats(node: ast.Dict) -> bool:
    """Whether a mapping gives a key twice."""
    keys = [str(key.value) for key in node.keys if isinstance(key, ast.Constant)]
    return len(set(keys)) < len(keys)


def _plain(value: object) -> Plain:
    """Lists, mappings, texts and numbers; tuples become lists."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    raise LiteralError("neither JSON nor a plain literal")
