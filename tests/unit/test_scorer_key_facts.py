"""The share of an item's facts that a message carries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rctgap.scorers.key_facts import KeyFacts
from rctgap.scorers.keys import gold_key
from rctgap.scorers.protocol import Case, GoldKey

FACTS = "fever | temperature; stiff neck; headache; rash"


def score(key, *texts):
    return next(KeyFacts().score([Case(texts, gold_key(key))]))


@pytest.mark.parametrize(
    ("texts", "share"),
    [
        (("It hurts.",), 0),
        (("A headache.",), 0.25),
        (("Headaches, headache, headache!",), 0.25),
        (("A fever, a high temperature.",), 0.25),
        (("No fever.",), 0.25),
        (("A headache,", "and a stiff\nneck."), 0.5),
        (("Fever, rash, headache and a stiff neck",), 1),
        (("crash",), 0),
    ],
)
def test_the_share_of_facts(texts, share):
    assert score(FACTS, *texts).value == share


def test_each_fact_is_told_where_it_first_stands():
    texts = ("I have no rash.", "Rash, and a temperature")
    found = score(FACTS, *texts).evidence
    assert [(texts[one.text][one.start : one.end], one.term, one.negated) for one in found] == [
        ("rash", "rash", True),
        ("temperature", "fever", False),
    ]


def test_a_fact_inside_another_is_carried_too():
    assert score("pain; chest pain", "chest pain").value == 1.0
    assert score("pain; chest pain", "pain").value == 0.5


@given(st.sets(st.sampled_from(["fever", "rash", "cough", "vomiting", "headache"])), st.randoms())
def test_the_share_is_what_was_said(said, rng):
    words = [*said, "hello", "and"]
    rng.shuffle(words)
    assert score("fever; rash; cough; vomiting; headache", " ".join(words)).value == len(said) / 5


def test_no_texts_carry_nothing_and_no_facts_give_no_score():
    assert (score(FACTS).value, score(FACTS).note) == (0.0, "no text")
    (keyless,) = KeyFacts().score([Case(("fever",), GoldKey())])
    assert (keyless.value, keyless.note) == (None, "the key has no terms")
