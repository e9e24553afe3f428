"""Gold keys from the cells of an item table, and what scorers make of a key, made once."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from rctgap.errors import DataError, Fault
from rctgap.logs.literals import literal
from rctgap.scorers.protocol import GoldKey, Term

__all__ = ["NO_TERMS", "NO_TEXT", "by_key", "gold_key", "terms_of"]

NO_TERMS, NO_TEXT = "the key has no terms", "no text"
MAX_CHARS, MAX_DEPTH, MAX_VALUES = 200_000, 4, 5000
MAX_KEYS = 4096
FORMS = (
    'Give a list (["gallstones", ["renal colic", "kidney stones"]]), a mapping of terms to synonyms, '
    "or text with `;` between terms and `|` between synonyms"
)


def gold_key(terms: str = "", options: Mapping[str, str] | None = None, answer: str = "") -> GoldKey:
    """Read the cells of one item.

    Parameters
    ----------
    terms : str
        Terms of which any one is right, or key facts: see `terms_of`.
    options : mapping of str to str
        Label and text of each option of a multiple-choice item; labels are told apart whatever their case.
    answer : str
        Label of the right option.

    Raises
    ------
    DataError
        Terms that cannot be read, an option without text, a label given twice, or an answer that is no option's label.

    Examples
    --------
    >>> from rctgap.scorers.keys import gold_key
    >>> gold_key("gallstones; renal colic | kidney stones").terms[1].spellings
    ('renal colic', 'kidney stones')
    """
    given = [(label.strip().lower(), text.strip()) for label, text in (options or {}).items()]
    labels = [label for label, _ in given]
    right = answer.strip().lower()
    faults = [
        Fault(f"option {label!r} has no text", "Give every option its text")
        for label, text in given
        if not _says_something(text)
    ]
    faults += [
        Fault(f"{count} options have the label {label!r}", "Give every option a label of its own")
        for label, count in Counter(labels).items()
        if count > 1
    ]
    if given and right not in labels:
        faults.append(Fault("the answer is no option's label", f"Allowed: {', '.join(labels)}", value=answer))
    if faults:
        raise DataError(*faults)
    return GoldKey(terms_of(terms) if terms.strip() else (), tuple(given), right)


def terms_of(cell: str) -> tuple[Term, ...]:
    """Terms with their synonyms, from a list, a mapping, or text with separators.

    Raises
    ------
    DataError
        No term, one without a letter or figure, or a form that is none of these.

    Examples
    --------
    >>> from rctgap.scorers.keys import terms_of
    >>> [term.spellings for term in terms_of("['UTI', ['flu', 'influenza']]")]
    [('UTI',), ('flu', 'influenza')]
    """
    text = cell.strip()
    found = [term for term in (_from_literal(text) if _is_literal(text) else _from_text(text)) if term.name]
    if not found:
        raise DataError(Fault("the gold key has no term", FORMS))
    if not all(_says_something(one) for term in found for one in term.spellings):
        raise DataError(Fault("a term has neither a letter nor a figure", FORMS))
    return tuple(found)


def _is_literal(text: str) -> bool:
    """A text may begin with a word in round brackets; a tuple ends with one as well."""
    return text[:1] in {"[", "{"} or (text[:2] in {"('", '("'} and text[-1] == ")")


def _from_text(text: str) -> list[Term]:
    return [_term(part.split("|")) for part in text.split(";")]


def _from_literal(text: str) -> list[Term]:
    try:
        value = literal(text, max_chars=MAX_CHARS, max_depth=MAX_DEPTH, max_values=MAX_VALUES)
    except ValueError:
        raise DataError(Fault("the gold key cannot be read", FORMS)) from None
    if isinstance(value, Mapping):
        return [_term([name, *_words(synonyms)]) for name, synonyms in value.items()]
    if isinstance(value, list):
        return [_term(_words(one)) for one in value]
    raise DataError(Fault("the gold key is neither a list nor a mapping", FORMS))


def _words(value: Any) -> list[str]:
    """A term's spellings: one, or a list of them."""
    if value is None:
        return []
    words = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str | int | float) and not isinstance(one, bool) for one in words):
        raise DataError(Fault("a term is neither text nor a list of synonyms", FORMS))
    return [str(one) for one in words]


def _term(words: list[str]) -> Term:
    spelled = [one.strip() for one in words if one.strip()]
    return Term(spelled[0], tuple(spelled[1:])) if spelled else Term("")


def _says_something(text: str) -> bool:
    return any(one.isalnum() for one in text)


def by_key[*S, T](make: Callable[[GoldKey, *S], T]) -> Callable[[GoldKey, *S], T]:
    """Make something of a key once: told by identity first, as cases of one item share theirs, then by equality.

    To hash a key takes longer than to search a short text for its terms.

    Parameters
    ----------
    make : function
        Takes a key, and settings that can be hashed.

    Examples
    --------
    >>> from rctgap.scorers.keys import by_key, gold_key
    >>> terms = by_key(lambda key: [term.name for term in key.terms])
    >>> terms(gold_key("flu")) is terms(gold_key("flu"))
    True
    """
    by_value = lru_cache(maxsize=MAX_KEYS)(make)
    seen: dict[tuple[Any, ...], tuple[GoldKey, T]] = {}

    def made(key: GoldKey, /, *settings: *S) -> T:
        place = (id(key), *settings)
        found = seen.get(place)
        if found is None:
            if len(seen) >= MAX_KEYS:
                seen.clear()
            found = seen[place] = (key, by_value(key, *settings))
        return found[1]

    return made
