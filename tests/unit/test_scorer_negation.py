"""Denials of a hit, by the words around it; sentences are invented, the hit stands in brackets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rctgap.scorers.negation import negated

DENIED = """
This is not [pneumonia].
It isn't [pneumonia].
It isn\u2019t [pneumonia].
There is no sign of [pneumonia].
No fever, chills or [pneumonia].
She denies [chest pain].
He has never had [asthma].
without any sign of [meningitis]
Neither flu nor [measles] fits.
We should rule out [appendicitis].
The scan ruled out [a clot].
That excludes [gout].
The test was negative for [flu].
It is unlikely to be [gout].
Less likely is [gout].
Less likely causes are flu and [gout].
A cold rather than [flu].
A cold, as opposed to [flu].
[Pneumonia] is unlikely.
[Pneumonia] is less likely here.
[Pneumonia] and flu are very unlikely.
[Pneumonia] has been ruled out.
[Pneumonia] can be excluded.
[Pneumonia] was not present.
[Pneumonia] isn't likely.
[Pneumonia] seems unlikely.
The cause is not likely [flu].
Not flu. It cannot be [measles].
It is flu but not [measles].
"""

NOT_DENIED = """
It is [pneumonia].
It may be [pneumonia], not flu.
This is not flu but [pneumonia].
This is not flu; it is [pneumonia].
Not flu. More likely [pneumonia].
Not flu\n[pneumonia]
No, this is [pneumonia].
This does not look like flu, it might be [pneumonia].
It is not only flu, also [pneumonia].
It is not just [flu].
There is no doubt that it is [flu].
[Flu] cannot be ruled out.
[Flu] has not been ruled out.
We cannot rule out [flu].
This does not rule out [flu].
It doesn't exclude [flu].
I am not certain whether it is [flu].
I do not know if this is [flu].
I can't say whether it is [flu].
It's not uncommon in [flu].
Do not ignore [chest pain].
Don't delay care for [appendicitis].
Without treatment, [appendicitis] gets worse.
If not treated, [appendicitis] gets worse.
Why not think of [flu]?
[Flu] is common, and gout is unlikely.
[Flu] is possible, but gout is unlikely.
Gout is unlikely, and [flu] fits.
Gout has been ruled out and [flu] remains.
[Flu] fits. Gout is unlikely.
It will not go away however long one two three four waits, [flu].
He cannot walk or stand or sit or lie down with [gout].
Notable: [flu].
She knows [flu].
"""


def marked(line):
    line = line.replace("\\n", "\n")
    start, end = line.index("["), line.index("]") - 1
    return line.replace("[", "").replace("]", ""), start, end


def lines(block):
    return [one.replace("\x00", "\n") for one in block.replace("flu\n[", "flu\x00[").strip().split("\n")]


@pytest.mark.parametrize("line", lines(DENIED))
def test_denied(line):
    assert negated(*marked(line))
    assert negated(*marked(line.upper()))


@pytest.mark.parametrize("line", lines(NOT_DENIED))
def test_not_denied(line):
    assert not negated(*marked(line))


@pytest.mark.parametrize("between", range(10))
def test_a_cue_reaches_over_six_words(between):
    text = f"not {'very ' * between}flu"
    assert negated(text, len(text) - 3, len(text)) is (between <= 6)


@pytest.mark.parametrize("between", range(10))
def test_a_cue_behind_reaches_over_six_words(between):
    assert negated(f"flu {'then ' * between}is unlikely", 0, 3) is (between <= 6)


def test_figures_with_a_point_end_no_sentence():
    text = "no temperature of 38.5 or flu"
    assert negated(text, len(text) - 3, len(text))


@given(st.text(max_size=80), st.text(max_size=80))
def test_only_the_sentence_matters(before, after):
    text = f"{before} not. It is flu. {after}"
    start = len(before) + len(" not. It is ")
    assert not negated(text, start, start + 3)
    denied = f"{before}. It is not flu. {after}"
    start = len(before) + len(". It is not ")
    assert negated(denied, start, start + 3)
