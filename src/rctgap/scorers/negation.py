"""Whether the words around a hit deny it, after NegEx: cue words within a few words, in the same sentence."""

import re
from collections.abc import Iterator

__all__ = ["negated"]

WINDOW, REACH = 6, 160
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_SENTENCE = re.compile(r"[.!?;:\n\r](?<![.!?](?=\S))")

_RULED = r"(?:rules?|ruled|ruling) out|exclud(?:e|es|ed|ing)"
_NOT = r"(?:not|never|cannot)"
_BEFORE = re.compile(
    rf"(?<!\w)(?:{_NOT} likely|(?:unlikely|(?:less|least) likely|{_RULED})(?! and\b|,)|no|{_NOT}|without|neither|nor|"
    r"den(?:y|ies|ied|ying)|negative for|free of|free from|absence of|rather than|as opposed to|instead of)(?!\w)"
)
_AFTER = re.compile(
    r"(?<!\w)(?:(?:is|are|was|were|seems?|looks?|appears?) (?:\w+ )?"
    r"(?:unlikely|less likely|not likely|absent|negative)|"
    r"(?:is|are|was|were) not (?:the cause|present|likely|suspected)|"
    r"(?:can be|is|are|was|were|been|being|be) (?:\w+ )?(?:ruled out|excluded))(?!\w)"
)
_PSEUDO = re.compile(
    rf"\b(?:{_NOT} (?:\w+ ){{0,3}}?(?:{_RULED})|{_NOT} (?:only|just|merely|necessarily|uncommon|unusual|unlikely|yet|"
    rf"(?:be )?certain|(?:be )?sure|clear|known?|say|tell|diagnose|confirm|determine)|"
    rf"{_NOT} (?:\w+ )?(?:ignore|delay|hesitate|wait|worry|forget|panic)|no (?:doubt|change|increase|matter|need)|"
    r"without (?:a )?(?:doubt|delay|treatment|warning|change)|why not|if not)\b"
)
_STOP = re.compile(
    r"\b(?:but|however|although|though|yet|except|nevertheless|nonetheless|still|because|whereas|while|instead(?! of)|"
    r"aside from|apart from|other than|in favou?r of)\b|"
    r",\s*(?:it|this|that|these|those|you|your|i|we|they|he|she|there|so|more|most|probably|possibly|perhaps|maybe)\b"
)
_NEW_CLAUSE = re.compile(r"\b(?:is|are|was|were|may|might|could|can|seems?|causes?)\b")


def negated(text: str, start: int, end: int) -> bool:
    """Whether a hit is denied by the words around it.

    Parameters
    ----------
    text : str
    start, end : int
        The hit, as a slice.

    Returns
    -------
    bool
        True where a cue ("not", "no", "without", "rule out", "unlikely", "rather than", ...) stands before the hit with
        at most six words between, in the same sentence, and neither a word such as "but" nor a new clause between; or a
        cue such as "is unlikely" or "has been ruled out" so near behind it. "Not only", "no doubt", "cannot be ruled
        out", "not certain whether", "do not ignore" and the like deny nothing.

    Notes
    -----
    A rule of words: it knows no grammar. It misses denials further away, across a colon ("Less likely: ...") or in
    other words ("little suggests"), and takes "not improving, pneumonia" for one. How often it fires is reported
    beside the scores.

    References
    ----------
    Chapman et al. (2001), doi 10.1006/jbin.2001.1029: cues, a window of words, words that end it, and cues that only
    look like denials. The cues of advice to patients are added.

    Examples
    --------
    >>> from rctgap.scorers.negation import negated
    >>> said = "This is not pneumonia but a cold."
    >>> negated(said, 12, 21), negated(said, 28, 32)
    (True, False)
    """
    before = _SENTENCE.split(text[max(0, start - REACH) : start])[-1]
    if any(_near(words[cue.end() :]) for words, cue in _cues(_BEFORE, before)):
        return True
    after = _SENTENCE.split(text[end : end + REACH])[0]
    between = (words[: cue.start()] for words, cue in _cues(_AFTER, after))
    return any(_near(words) and not _NEW_CLAUSE.search(words) for words in between)


def _cues(cues: re.Pattern[str], said: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Cues among some words, in lower case, once what only looks like a denial is made unreadable."""
    words = said.lower().replace("\u2019", "'").replace("n't", " not")
    if cues.search(words):
        words = _PSEUDO.sub(lambda found: " ".join("x" * len(one) for one in found[0].split()), words)
        yield from ((words, cue) for cue in cues.finditer(words))


def _near(between: str) -> bool:
    """Whether the words between a cue and a hit are few and end nothing."""
    return len(_WORD.findall(between)) <= WINDOW and not _STOP.search(between)
