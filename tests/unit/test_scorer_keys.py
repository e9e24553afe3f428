"""Gold keys out of cells."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rctgap.errors import DataError
from rctgap.scorers.keys import by_key, gold_key, terms_of
from rctgap.scorers.protocol import GoldKey, Term

SAME = (Term("gallstones"), Term("renal colic", ("kidney stones", "stone")))


@pytest.mark.parametrize(
    "cell",
    [
        "gallstones; renal colic | kidney stones|stone",
        " gallstones ;; renal colic|kidney stones||stone; ",
        '["gallstones", ["renal colic", "kidney stones", "stone"]]',
        "['gallstones', ('renal colic', 'kidney stones', 'stone')]",
        "('gallstones', ['renal colic', 'kidney stones', 'stone'])",
        '{"gallstones": [], "renal colic": ["kidney stones", "stone"]}',
        "{'gallstones': None, 'renal colic': ('kidney stones', 'stone')}",
        '["gallstones", "", ["renal colic", " kidney stones", "", "stone"]]',
    ],
)
def test_every_form_gives_the_same_terms(cell):
    assert terms_of(cell) == SAME
    assert gold_key(cell) == GoldKey(SAME)


def test_a_mapping_may_give_one_synonym_as_text():
    assert terms_of('{"flu": "influenza"}') == (Term("flu", ("influenza",)),)


def test_text_may_begin_with_a_bracket():
    assert terms_of("(acute) appendicitis; colic (renal)") == (Term("(acute) appendicitis"), Term("colic (renal)"))


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("", "no term"),
        (" ; | ;", "no term"),
        ("[]", "no term"),
        ('["", []]', "no term"),
        ("[gallstones]", "cannot be read"),
        ("['gallstones'", "cannot be read"),
        ("{'a': __import__('os')}", "cannot be read"),
        ("[" * 50 + "]" * 50, "cannot be read"),
        ("[" + "1," * 6000 + "1]", "cannot be read"),
        ("[[['deep']]]", "neither text nor a list"),
        ("[true]", "neither text nor a list"),
        ("[{'a': 'b'}]", "neither text nor a list"),
        ("{'a': {'b': 'c'}}", "neither text nor a list"),
        ("flu; -", "neither a letter nor a figure"),
        ("flu | ...", "neither a letter nor a figure"),
    ],
)
def test_what_cannot_be_read_says_what_is_allowed(cell, what):
    with pytest.raises(DataError) as caught:
        terms_of(cell)
    (fault,) = caught.value.faults
    assert what in fault.what
    assert "`;` between terms" in fault.allowed


@given(st.text(max_size=60))
def test_no_cell_makes_more_than_a_fault(cell):
    try:
        found = terms_of(cell)
    except DataError:
        return
    assert found
    assert all(any(letter.isalnum() for letter in word) for term in found for word in term.spellings)


def test_options_are_read_with_labels_in_lower_case():
    key = gold_key(options={"A": " 15% ", "B": "30%"}, answer=" b ")
    assert key == GoldKey((), (("a", "15%"), ("b", "30%")), "b")


@pytest.mark.parametrize(
    ("options", "answer", "what"),
    [
        ({"a": "x", "b": " "}, "a", "option 'b' has no text"),
        ({"a": "x", "b": "..."}, "a", "option 'b' has no text"),
        ({"a": "x", "b": "y"}, "c", "no option's label"),
        ({"a": "x", "b": "y"}, "", "no option's label"),
        ({"a": "x", "A ": "y"}, "a", "2 options have the label 'a'"),
    ],
)
def test_options_that_cannot_be_scored_are_refused(options, answer, what):
    with pytest.raises(DataError) as caught:
        gold_key(options=options, answer=answer)
    assert what in str(caught.value)


def test_every_fault_of_a_key_is_told():
    with pytest.raises(DataError) as caught:
        gold_key(options={"a": "", "b": "", "c": "x"}, answer="z")
    assert len(caught.value.faults) == 3


def test_what_is_made_of_a_key_is_made_once_for_each_setting():
    made = []

    @by_key
    def sizes(key: GoldKey, more: int) -> int:
        made.append(more)
        return len(key.terms) + more

    keys = [gold_key("flu; measles"), gold_key("flu; measles"), gold_key("flu")]
    assert [sizes(key, more) for key in keys * 2 for more in (0, 10)] == [2, 12, 2, 12, 1, 11] * 2
    assert sorted(made) == [0, 0, 10, 10]


def test_a_key_that_is_gone_is_not_taken_for_a_new_one():
    names = by_key(lambda key: key.terms[0].name)
    assert [names(GoldKey((Term(str(number)),))) for number in range(20_000)] == [str(one) for one in range(20_000)]


def test_few_keys_are_kept():
    lengths = by_key(lambda key: len(key.answer))
    for number in range(20_000):
        lengths(GoldKey(answer=f"kept {number}"))
    kept = [one for one in gc.get_objects() if type(one) is GoldKey and one.answer.startswith("kept")]
    assert 0 < len(kept) < 10_000
