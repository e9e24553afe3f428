"""A million turns read and scored, the published rule beside a plain loop, and workers; printed, never asserted.

Every text is invented.
"""

import json
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import regex

from rctgap.logs.reading import read_conversations
from rctgap.scorers.batches import score_all
from rctgap.scorers.edit_distance import EditDistance
from rctgap.scorers.keys import gold_key
from rctgap.scorers.protocol import Case, GoldKey, Scorer
from rctgap.scorers.scopes import texts_in_scope
from rctgap.scorers.whole_word import WholeWord

TURNS, LENGTH = 1_000_000, 8
PLAIN, WORKED = 400, 20_000
TERMS = (
    "gallstones|biliary colic; cholecystitis; cholangitis; pancreatitis; hepatitis; peptic ulcer; gastritis; "
    "kidney stones|renal colic; appendicitis; pneumonia|chest infection; pleurisy; pulmonary embolism; angina; "
    "heart attack|myocardial infarction; subarachnoid haemorrhage; migraine; meningitis; anaemia; sinusitis; "
    "urinary tract infection"
)
WORDS = (
    "the and your of a to is that you may be with doctor pain sometimes causes include fever rest water if worse seek "
    "care provide routine caution symptom blood pressure medicine hospital common condition possible could often week "
    "usually days severe mild treatment test result imaging abdominal headache stomach nausea vomiting history family "
    "not unlikely physician emergency but because when since also for it this have had feel should would call after"
)


def said(rng: random.Random, least: int, most: int, names: list[str]) -> str:
    """Words at random, with a term in about half."""
    words = rng.choices(WORDS.split(), k=rng.randint(least, most))
    if rng.random() < 0.5:  # noqa: PLR2004 - half
        words[rng.randrange(len(words))] = rng.choice(names)
    for place in range(rng.randint(5, 15), len(words), 12):
        words[place] += "."
    return " ".join(words)


def write(path: Path, rng: random.Random, names: list[str]) -> None:
    """A log of a million turns of about 200 characters."""
    texts = [said(rng, 30, 40, names) for _ in range(20_000)]
    with path.open("w", encoding="utf-8") as stream:
        for number in range(TURNS // LENGTH):
            turns = [
                {"role": ("user", "assistant")[turn % 2], "content": text}
                for turn, text in enumerate(rng.choices(texts, k=LENGTH))
            ]
            stream.write(json.dumps({"participant": f"p{number}", "item": "s1", "messages": turns}) + "\n")


def read(path: Path, key: GoldKey) -> Iterator[Case]:
    """Every turn on its own."""
    return (Case((text,), key) for one in read_conversations(path) for text in texts_in_scope(one, "either"))


def plain(case: Case, threshold: int = 80) -> list[str]:
    """Terms that a loop over terms and texts finds, as the rule is published."""
    found = []
    for term in case.key.terms:
        for spelling in term.spellings:
            edits = (100 - threshold) * len(spelling) // 100
            pattern = f"(?:{regex.escape(spelling.lower())}){{e<={edits}}}"
            if any(regex.search(pattern, text.lower()) for text in case.texts):
                found.append(term.name)
                break
    return found


def at_first_hit(case: Case) -> bool:
    """The same loop, left at the first term that is found."""
    return any(plain(Case(case.texts, GoldKey((term,)))) for term in case.key.terms)


def seconds(scorer: Scorer, cases: list[Case], workers: int) -> float:
    """How long so many workers take, once they run."""
    with ProcessPoolExecutor(workers) as pool:
        list(score_all(scorer, cases[: 200 * workers], pool, 100))
        start = time.perf_counter()
        list(score_all(scorer, cases, pool, 500))
        return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    rng = random.Random(1)  # noqa: S311 - invented texts
    key = gold_key(TERMS)
    names = [one for term in key.terms for one in term.spellings]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logs.jsonl"
        write(path, rng, names)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        start = time.perf_counter()
        right = sum(one.value or 0.0 for one in WholeWord(negation="drop").score(read(path, key)))
        whole = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"turns read and scored   {TURNS:10,} in {whole:.1f} s, {TURNS / whole:,.0f} a second  (target 60 s)")
    print(f"memory                  {peak:10.0f} MiB at most, {before:.0f} before; {right / TURNS:.2f} right")

    short = [Case((said(rng, 30, 40, names),), key) for _ in range(WORKED)]
    start = time.perf_counter()
    list(WholeWord().score(short))
    alone = time.perf_counter() - start
    print(f"whole_word alone        {alone / WORKED * 1e6:10.1f} s a million texts of 200 characters  (target 20 s)")

    replies = [Case((said(rng, 100, 300, names),), key) for _ in range(PLAIN)]
    start = time.perf_counter()
    wanted = [at_first_hit(one) for one in replies]
    loop = time.perf_counter() - start
    start = time.perf_counter()
    scored = [one.value == 1.0 for one in EditDistance().score(replies)]
    ours = time.perf_counter() - start
    same = scored == wanted and all([hit.term for hit in EditDistance().hits(one)] == plain(one) for one in replies)
    print(f"edit_distance           {loop / ours:10.1f} times as fast as a plain loop  (target 5)")
    print(f"                        identical: {same}, {sum(scored) / PLAIN:.2f} right")

    for scorer in (EditDistance(), WholeWord()):
        many = [Case(tuple(one.texts[0] for one in rng.choices(replies, k=4)), key) for _ in range(WORKED)]
        one, two = (seconds(scorer, many, workers) for workers in (1, 2))
        print(f"two workers, {scorer.name:<14} {one / two:7.2f} times as fast as one ({one:.1f} s)  (target 1.7)")


if __name__ == "__main__":
    main()
