from pathlib import Path

import pytest

import rctgap as rg
from rctgap.datasets import folder

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("study", ["raman2026", "halie"])
def test_the_committed_codebook_is_that_of_the_dictionary(study):
    here = ROOT / "data_dictionaries" / study
    source = here if (here / "dictionary.yaml").is_file() else folder(study)
    assert (here / "codebook.md").read_text() == rg.codebook(rg.read_dictionary(source / "dictionary.yaml"))
