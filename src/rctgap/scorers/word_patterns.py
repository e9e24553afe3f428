"""Patterns that find a term as whole words."""

import re
from dataclasses import dataclass

__all__ = ["WordPattern", "only_in_capitals", "word_pattern"]

SHORT, CAPITALS = 5, 3
HYPHENS = "\u2010\u2011-"
QUOTES = "'\u2019"

_JOINT = re.compile(rf"([\s{HYPHENS}]+)")
_UNIT = re.compile(
    rf"(?P<e>ae|oe|e)|(?P<or>our|or)|(?P<own>[{QUOTES}]s\Z)|(?P<quote>[{QUOTES}])|(?P<plain>.)", re.DOTALL
)
_VARIANTS = {"e": "[ao]?e", "or": "ou?r"}
_LEFT = rf"(?<![^\W_])(?<![^\W_][{QUOTES}])(?<!\bnon[{HYPHENS}])(?<!\bpre[{HYPHENS}])(?<!\banti[{HYPHENS}])"
_RIGHT = rf"(?![^\W_])(?![{QUOTES}](?!s\b)[^\W_])(?![{HYPHENS}](?:like|free|negative)\b)"


@dataclass(frozen=True, slots=True)
class WordPattern:
    """How a term is found.

    Attributes
    ----------
    words : re.Pattern
        For a text in lower case, or as given if `capitals`.
    part : str
        Stands in every match: a text without it need not be searched.
    capitals : bool
    """

    words: re.Pattern[str]
    part: str
    capitals: bool = False


def only_in_capitals(term: str) -> bool:
    """Whether a term is an abbreviation so short that it is a word or part of one in lower case: PE, IT, UTI."""
    return len(term) <= CAPITALS and term.isupper()


def word_pattern(term: str, *, variants: bool) -> WordPattern:
    """How a term is found as whole words; the rules are told at `rctgap.scorers.whole_word.WholeWord`.

    Parameters
    ----------
    term : str
        With a letter or a figure in it.
    variants : bool
        Whether British and American spellings are alike in terms of more than five letters.

    Examples
    --------
    >>> from rctgap.scorers.word_patterns import word_pattern
    >>> word_pattern("anemia", variants=True).words.search("two anaemias")[0]
    'anaemias'
    """
    if only_in_capitals(term):
        return WordPattern(re.compile(f"{_LEFT}{re.escape(term)}{_RIGHT}"), term, capitals=True)
    long = sum(one.isalnum() for one in term) > SHORT
    split = _JOINT.split(term.lower().strip(f" \t\n{HYPHENS}"))
    pieces: list[tuple[str, bool]] = []
    for number, word in enumerate(split):
        if number % 2:
            pieces.append((_joint(word), False))
            continue
        stem, ending = _numbers(word) if long and number == len(split) - 1 else (word, "")
        pieces += _units(stem, variants=variants and long)
        pieces.append((ending, False))
    pattern = "".join(text if not plain else re.escape(text) for text, plain in pieces)
    return WordPattern(re.compile(f"{_LEFT}(?:{pattern}){_RIGHT}"), _longest_part(pieces))


def _joint(written: str) -> str:
    """What may stand between two words; a hyphen may also be left out."""
    between = rf"(?:\s{{1,20}}|[{HYPHENS}]\s?)"
    return between if any(one.isspace() for one in written) else f"{between}?"


def _numbers(word: str) -> tuple[str, str]:
    """A word without its ending, and the endings of its singular and plural."""
    stem = word.removesuffix("ies") if word.endswith("ies") else word.removesuffix("y")
    if stem != word and stem[-1:] not in {"a", "e", "o", "u"}:
        return stem, f"(?:y|ies|y[{QUOTES}]s)"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2], "(?:es)?"
    if word.endswith("is"):
        return word[:-2], "[ie]s"
    if word.endswith("s") and not word.endswith(("ss", "us", "'s", "\u2019s")):
        word = word[:-1]
    return word, f"(?:[{QUOTES}]?s|es)?" if word[-1:].isalpha() else ""


def _units(word: str, *, variants: bool) -> list[tuple[str, bool]]:
    """Parts of a word: as they are (True) or as patterns of what may stand for them."""
    units = []
    for found in _UNIT.finditer(word):
        kind = found.lastgroup or ""
        if kind == "own":
            units.append((f"(?:[{QUOTES}]?s)?", False))
        elif kind == "quote":
            units.append((f"[{QUOTES}]", False))
        elif kind in _VARIANTS and variants:
            units.append((_VARIANTS[kind], False))
        else:
            units.append((found[0], True))
    return units


def _longest_part(pieces: list[tuple[str, bool]]) -> str:
    runs = [""]
    for text, plain in pieces:
        if plain:
            runs[-1] += text
        elif text:
            runs.append("")
    return max(runs, key=len)
