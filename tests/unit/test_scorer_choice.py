"""Which option a reply names; items and replies are invented."""

import time

import pytest

from rctgap.errors import AnalysisError
from rctgap.scorers.choice import Choice
from rctgap.scorers.keys import gold_key
from rctgap.scorers.protocol import Case, GoldKey

FATS = gold_key(options={"a": "LDL", "b": "HDL", "c": "VLDL", "d": "Iron deficiency, severe"}, answer="c")
SHARES = gold_key(options={"a": "15%", "b": "115%", "c": "30 percent", "d": "1.5%"}, answer="a")


def score(key, *texts, **settings):
    return next(Choice(**settings).score([Case(texts, key)]))


@pytest.mark.parametrize(
    "text",
    [
        "c",
        "C",
        "(C)",
        " **C.** ",
        '"c"',
        "C. It carries fat.",
        "Well,\n  C) It carries fat.",
        "**C.** It carries fat.",
        "I think it is (c) here.",
        "It is option C of these.",
        "The answer is C because it carries fat.",
        "The answer is c.",
        "Answer: C",
        "The correct answer is:\nC",
        "The correct option is (C).",
        "The best choice would be c",
        "The answer is most likely C.",
        "The answer is **C**",
        "I would choose C because of the fat.",
        "I'd go with option c.",
        "vldl",
        "It is VLDL, which carries fat.",
        "(c) VLDL",
        "a) LDL\nb) HDL\nc) VLDL\nThe answer is c.",
        "LDL or HDL? I would choose VLDL.",
        "It is not LDL. It is VLDL.",
        "HDL is unlikely, and VLDL fits.",
        "The answer is a. Wait, the answer is c.",
        "The answer is not HDL; VLDL.",
    ],
)
def test_the_right_option_is_named(text):
    assert score(FATS, text).value == 1.0


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("A", ""),
        ("LDL", ""),
        ("The answer is a.", ""),
        ("The answer is A because it carries fat.", ""),
        ("The answer is b, not c.", ""),
        ("VLDL comes to mind, yet the answer is HDL.", ""),
        ("The answer is c. No: the answer is b.", ""),
        ("It is severe iron deficiency.", "no option named"),
        ("Iron deficiency and severe", ""),
        ("This is a question about a fat.", "no option named"),
        ("The answer is a matter of debate.", "no option named"),
        ("I would choose a doctor.", "no option named"),
        ("XVLDLX", "no option named"),
        ("It is not VLDL.", "no option named"),
        ("VLDL has been ruled out.", "no option named"),
        ("Vitamin C helps.", "no option named"),
        ("", "no option named"),
        ("HDL or VLDL", "several options named"),
        ("(b) or (c)", "several options named"),
        ("(c) HDL", "several options named"),
    ],
)
def test_the_right_option_is_not_named(text, note):
    assert (score(FATS, text).value, score(FATS, text).note) == (0.0, note)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("15%", {"a"}),
        ("About 15 % of them.", {"a"}),
        ("15 percent", {"a"}),
        ("15 per cent.", {"a"}),
        ("115%", {"b"}),
        ("30%", {"c"}),
        ("130%", set()),
        ("1.5%", {"d"}),
        ("21.5%", set()),
        ("1,115%", set()),
        ("15", set()),
        ("15.5%", set()),
        ("15% to 115%", {"a", "b"}),
    ],
)
def test_numbers_are_whole(text, named):
    assert {one.term for one in score(SHARES, text).evidence} == named


def test_a_bare_number_is_no_percentage():
    key = gold_key(options={"a": "15", "b": "20"}, answer="a")
    assert [score(key, text).value for text in ("15", "15%", "15 percent", "15.", "15.2", "1,15")] == [1, 0, 0, 1, 0, 0]


def test_an_option_inside_another_is_not_named_with_it():
    key = gold_key(options={"a": "deficiency", "b": "iron deficiency", "c": "iron"}, answer="b")
    assert [one.term for one in score(key, "An iron deficiency.").evidence] == ["b"]
    assert [one.term for one in score(key, "Iron.").evidence] == ["c"]


def test_lists_of_words_are_found_however_they_are_joined():
    key = gold_key(options={"a": "The liver, kidney, spleen", "b": "heart"}, answer="a")
    for text in ("liver, kidney and spleen", "Liver / kidney / spleen.", "the liver kidney\nspleen"):
        assert score(key, text).value == 1.0
    assert score(key, "liver and heart").value == 0.0


@pytest.mark.parametrize(
    ("text", "zero", "some", "last"),
    [("HDL or VLDL", 0, 1, 1), ("VLDL or HDL", 0, 1, 0), ("LDL or HDL", 0, 0, 0), ("VLDL", 1, 1, 1), ("x", 0, 0, 0)],
)
def test_several_options_as_is_asked(text, zero, some, last):
    values = [score(FATS, text, ambiguous=way).value for way in ("zero", "any", "last")]
    assert values == [zero, some, last]


def test_the_last_text_counts_last():
    assert score(FATS, "VLDL", "HDL", ambiguous="last").value == 0.0
    assert score(FATS, "HDL", "VLDL", ambiguous="last").value == 1.0
    assert score(FATS, "The answer is b.", "The answer is c.").value == 1.0


def test_places_are_told():
    text = "Not LDL; it is (c)."
    found = [(text[one.start : one.end], one.term, one.negated) for one in score(FATS, text).evidence]
    assert found == [("(c)", "c", False)]
    (stated,) = score(FATS, "HDL? The answer is VLDL.").evidence
    assert (stated.start, stated.end, stated.term) == (19, 23, "c")
    (denied,) = score(FATS, "Not VLDL.").evidence
    assert denied.negated


def test_labels_of_more_than_a_letter():
    key = gold_key(options={"i": "red", "ii": "blue", "iii": "green"}, answer="iii")
    assert [score(key, text).value for text in ("(iii)", "option ii", "the answer is iii.", "iii", "I think so.")] == [
        1, 0, 1, 1, 0,
    ]  # fmt: skip


def test_no_texts_and_no_options():
    assert (score(FATS).value, score(FATS).note) == (0.0, "no text")
    assert (score(GoldKey(), "c").value, score(GoldKey(), "c").note) == (None, "the key has no options")


def test_settings_are_told_and_checked():
    assert Choice("any").settings == (("ambiguous", "any"),)
    with pytest.raises(AnalysisError, match="Did you mean 'last'"):
        Choice("lasst")


@pytest.mark.parametrize("unit", ["\n", " ", "(", "answer is ", "option ", "iron ", "\n a", "a) ", "*", "\0"])
def test_long_texts_take_time_in_proportion(unit):
    text = unit * (60_000 // len(unit))
    for given in (text, f"answer is{text}", f"iron{text}", f"option{text}x"):
        start = time.process_time()
        score(FATS, given)
        assert time.process_time() - start < 5
