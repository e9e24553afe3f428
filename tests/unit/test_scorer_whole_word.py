"""Terms as whole words; every text is invented."""

import pickle
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rctgap.errors import AnalysisError
from rctgap.scorers.edit_distance import EditDistance
from rctgap.scorers.keys import gold_key
from rctgap.scorers.protocol import Case, GoldKey
from rctgap.scorers.whole_word import WholeWord, dropped, hits


def score(key, *texts, **settings):
    return next(WholeWord(**settings).score([Case(texts, gold_key(key))]))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("gallstones", "Gallstones."),
        ("gallstones", "a gallstone"),
        ("gallstones", "GALLSTONES!"),
        ("gallstones", "_gallstones_ and **rest**"),
        ("gallstones", '"gallstones"'),
        ("gallstones", "gallstones/colic"),
        ("migraine", "migraines"),
        ("migraine", "the migraine's cause"),
        ("migraine", "the migraine\u2019s cause"),
        ("abscess", "two abscesses"),
        ("abscesses", "an abscess"),
        ("allergy", "allergies"),
        ("food allergies", "a food allergy"),
        ("diagnosis", "many diagnoses"),
        ("kidney stones", "a kidney\n  stone"),
        ("kidney stones", "kidney-stones"),
        ("covid-19", "Covid 19"),
        ("covid-19", "COVID19"),
        ("covid", "Covid-19"),
        ("x-ray", "an x\u2011ray"),
        ("Crohn's disease", "crohn\u2019s disease"),
        ("Crohn's disease", "Crohn disease"),
        ("anaemia", "anemia"),
        ("anemia", "anaemia"),
        ("haemorrhage", "two hemorrhages"),
        ("hemorrhage", "haemorrhage"),
        ("diarrhoea", "diarrhea"),
        ("diarrhea", "diarrhoea"),
        ("brain tumor", "brain tumours"),
        ("PE", "a PE?"),
        ("PE", "PE-related"),
        ("pe", "a pe"),
        ("uti", "UTI"),
        ("COPD", "copd"),
        ("gout", "Gout,"),
        ("M\u00e9ni\u00e8re's", "M\u00c9NI\u00c8RE\u2019S"),
        ("gallstones", "\u0130\u0130 gallstones"),
        ("C. difficile", "c. difficile"),
        ("(acute) pancreatitis", "an (acute) pancreatitis"),
        ("type 2 diabetes", "type 2 diabetes"),
    ],
)
def test_terms_are_found(key, text):
    assert score(key, text).value == 1.0


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("covid", "I can provide advice."),
        ("UTI", "This is routine; use caution."),
        ("UTI", "uti"),
        ("PE", "pe"),
        ("IT", "it is"),
        ("gout", "gouts"),
        ("gout", "ragout"),
        ("mumps", "mmps"),
        ("gallstones", "galstones"),
        ("gallstones", "gallstones2"),
        ("kidney stones", "kidney and stones"),
        ("kidney stones", "kidneystones"),
        ("kidney stones", "kidney\n- stones"),
        ("flu", "flu-like illness"),
        ("eclampsia", "pre-eclampsia"),
        ("migraine", "a non-migraine headache"),
        ("brien", "O'Brien"),
        ("can", "I can't"),
        ("type 2 diabetes", "type 21 diabetes"),
        ("edema", "oedema"),
    ],
)
def test_other_words_are_not(key, text):
    assert score(key, text).value == 0.0


def test_spellings_are_alike_only_where_that_is_asked():
    assert score("anaemia", "anemia", variants=False).value == 0.0
    assert score("anaemia", "anaemias", variants=False).value == 1.0
    assert score("haemorrhage; anaemia", "a hemorrhage, anaemia", variants=False).evidence[0].term == "anaemia"


def test_denied_hits_do_not_count_unless_kept():
    said = ("It is not pneumonia.", "Pneumonia has been ruled out.")
    (dropping, keeping) = score("pneumonia", *said), score("pneumonia", *said, negation="keep")
    assert (dropping.value, dropping.note, dropping.evidence[0].negated) == (0.0, "only denied", True)
    assert dropping.evidence[0].text == 0
    assert (keeping.value, keeping.note, keeping.evidence[0].negated) == (1.0, "", True)
    later = score("pneumonia; flu", *said, "So it is flu.")
    assert (later.value, later.evidence[0].text, later.evidence[0].term) == (1.0, 2, "flu")


def test_every_place_is_told_in_order():
    texts = ("No kidney stones; a stone, gallstones.", "Flu, flu.")
    key = gold_key("flu; kidney stones | stone; gallstones")
    found = [(texts[one.text][one.start : one.end], one.term, one.negated) for one in hits(Case(texts, key))]
    assert found == [
        ("kidney stones", "kidney stones", True),
        ("stone", "kidney stones", False),
        ("gallstones", "gallstones", False),
        ("Flu", "flu", False),
        ("flu", "flu", False),
    ]


def test_terms_inside_one_another_are_all_found_and_spellings_of_one_once():
    found = [
        (one.start, one.end, one.term)
        for one in hits(Case(("chest infection",), gold_key("infection; chest | chest infection")))
    ]
    assert found == [(0, 15, "chest"), (6, 15, "infection")]


NEAR = ["uti", "UTI", "routine", "galstones", "flu", "flus", "provide", "not", "covid", ",", ".", "but", "PE", "pen"]
WORDS = st.lists(
    st.sampled_from(["flu", "gout", "gouty", "influenza", "renal", "colic", "chest", "pain", "x"]), max_size=12
)


@given(WORDS, st.sampled_from([" ", "-", "\n", ", ", ". "]))
def test_plain_words_are_found_where_splitting_finds_them(words, between):
    """Short terms of one word: the text cut into words holds the term."""
    text = between.join(words)
    for term in ("flu", "gout", "renal", "x"):
        found = [one.start for one in hits(Case((text,), gold_key(term)))]
        assert found == [one.start() for one in re.finditer(r"[a-z]+", text) if one[0] == term]


@given(st.text(max_size=200))
def test_places_lie_in_the_text_whatever_it_is(text):
    key = gold_key("a; the; i; \u0130stanbul fever; stra\u00dfe; UTI; migraine | aura")
    case = Case((text, f"{text} migraine {text}"), key)
    found = list(hits(case))
    assert all(0 <= one.start < one.end <= len(case.texts[one.text]) for one in found)
    assert any(one.term == "migraine" and one.text == 1 for one in found)


@pytest.mark.parametrize("unit", ["kidney ", "kidney\n", " ", "\n", "\0", "e", "-", "'", "no ", "not kidney "])
def test_long_texts_take_time_in_proportion(unit):
    key = gold_key("kidney stones; Crohn's disease; covid-19; haemorrhage; PE")
    text = unit * (1_000_000 // len(unit)) + " haemorrhage"
    start = time.process_time()
    assert next(WholeWord("keep").score([Case((text,), key)])).value == 1.0
    assert time.process_time() - start < 5


def test_a_key_of_many_spellings_finds_each():
    names = [f"disease number {number}" for number in range(2000)]
    key = gold_key("; ".join(names))
    assert [one.term for one in hits(Case(("Disease  number 1999, disease-number 7",), key))] == [names[1999], names[7]]


# ---------------------------------------------------------------- what the published rule finds and this one does not


@pytest.mark.parametrize(
    ("key", "text", "reason", "where"),
    [
        ("UTI", "a routine", "inside a word", "uti"),
        ("covid", "I can provide", "inside a word", None),
        ("flu", "flu-like", "inside a word", "flu"),
        ("gallstones", "the gallstonesx", "inside a word", "gallstones"),
        ("UTI", "a uti and a routine", "short term in lower case", "uti"),
        ("migraine", "not a migraine", "denied", "migraine"),
        ("gallstones", "galstones.", "only a near spelling", "galstones"),
        ("appendicitis", "an apendicitus,", "only a near spelling", "apendicitus"),
        ("mumps", "mmps", "only a near spelling", "mmps"),
    ],
)
def test_why_a_hit_is_dropped(key, text, reason, where):
    case = Case((text,), gold_key(key))
    (one,) = dropped(case)
    assert (one.term, one.reason) == (key, reason)
    if where is not None:
        assert text[one.evidence.start : one.evidence.end] == where


def test_each_term_has_its_own_reason():
    said = ("It is not asthma. Be routine, galstones; a uti.",)
    case = Case(said, gold_key("asthma; gallstones; UTI; gout"))
    assert [(one.term, one.reason) for one in dropped(case)] == [
        ("asthma", "denied"),
        ("gallstones", "only a near spelling"),
        ("UTI", "short term in lower case"),
    ]


@given(st.lists(st.sampled_from(NEAR)))
def test_every_disagreement_has_a_reason_and_nothing_else_has(words):
    case = Case((" ".join(words),), gold_key("UTI; gallstones; flu; covid; PE"))
    (whole,) = WholeWord().score([case])
    (edit,) = EditDistance().score([case])
    reasons = dropped(case)
    assert bool(reasons) == (whole.value == 0.0 and edit.value == 1.0)
    assert [one.term for one in reasons] == ([one.term for one in EditDistance().hits(case)] if reasons else [])


# ---------------------------------------------------------------- the record


def test_without_texts_a_case_is_wrong_and_without_terms_it_has_no_score():
    empty, keyless = WholeWord().score([Case((), gold_key("flu")), Case(("flu",), GoldKey())])
    assert (empty.value, empty.note) == (0.0, "no text")
    assert (keyless.value, keyless.note) == (None, "the key has no terms")


def test_settings_are_told_and_checked():
    scorer = WholeWord("keep", variants=False)
    assert scorer.settings == (("negation", "keep"), ("variants", "false"))
    assert pickle.loads(pickle.dumps(scorer)) == scorer  # noqa: S301 - our own
    with pytest.raises(AnalysisError, match="Did you mean 'drop'"):
        WholeWord("dropp")


def test_no_text_is_shown():
    said = "xyzzy gallstones"
    case = Case((said,), gold_key("gallstones"))
    assert "xyzzy" not in repr(case) + repr(list(WholeWord().score([case]))) + repr(list(hits(case)))
