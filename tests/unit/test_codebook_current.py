from pathlib import Path

import rctgap as rg
from rctgap.datasets import folder

ROOT = Path(__file__).parents[2]


def test_the_committed_codebook_is_that_of_the_dictionary():
    dictionary = rg.read_dictionary(folder("raman2026") / "dictionary.yaml")
    assert (ROOT / "data_dictionaries" / "raman2026" / "codebook.md").read_text() == rg.codebook(dictionary)
