"""Scores on executors: the same, in order, read as needed."""

from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from rctgap.scorers.batches import IN_FLIGHT, score_all
from rctgap.scorers.choice import Choice
from rctgap.scorers.edit_distance import EditDistance
from rctgap.scorers.key_facts import KeyFacts
from rctgap.scorers.keys import gold_key
from rctgap.scorers.protocol import Case
from rctgap.scorers.whole_word import WholeWord

KEYS = [
    gold_key("flu; gallstones | gall stone", {"a": "flu", "b": "gallstones"}, "a"),
    gold_key("gout; UTI", {"a": "gout", "b": "UTI"}, "b"),
]
TEXTS = ["It is flu.", "Not flu, galstones", "A routine matter: gout.", "UTI or gout", "(a)", ""]
CASES = [
    Case((TEXTS[number % 6], TEXTS[number // 6 % 6])[: number % 3], KEYS[number // 36 % 2]) for number in range(144)
]


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize("scorer", [WholeWord(), EditDistance(), KeyFacts(), Choice()], ids=lambda one: one.name)
@pytest.mark.parametrize("size", [7, 1000])
def test_two_processes_give_what_one_gives(scorer, size, processes):
    alone = list(score_all(scorer, CASES))
    assert list(score_all(scorer, iter(CASES), processes, size)) == alone == list(scorer.score(CASES))
    assert len({one.value for one in alone}) > 1


class Late:
    """An executor that runs nothing before it is asked."""

    def __init__(self):
        self.given = []

    def submit(self, work, *args):
        future = Future()
        self.given.append(future)
        future.result = lambda: work(*args)
        return future


def test_few_batches_are_read_ahead_and_what_is_left_is_called_off():
    read = []
    late = Late()
    scores = score_all(WholeWord(), (read.append(one) or one for one in CASES), late, size=2)
    next(scores)
    assert len(read) == 2 * IN_FLIGHT
    scores.close()
    assert [one.cancelled() for one in late.given] == [False] + [True] * (IN_FLIGHT - 1)


def test_no_cases_give_no_scores():
    with ThreadPoolExecutor(1) as pool:
        assert list(score_all(WholeWord(), [], pool)) == []


def test_an_error_of_a_scorer_comes_through():
    class Broken:
        def score(self, cases):
            raise ValueError(f"broken at {len(cases)}")

    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="broken at 144"):
        list(score_all(Broken(), CASES, pool))
