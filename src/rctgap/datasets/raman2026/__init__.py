"""The case study of Raman et al. (2026) on the trial of Bean et al. (2026): counts, and a reader of the authors' files.

Counts only: they were computed from the row-level scores that accompany the paper
(naveenr414/healthcare-llm-eval-gap at 174c9fd). The trial asks that its texts be kept out of
training corpora; none of them is here.
"""

__all__ = ["CHAINS"]

CHAINS = (
    "as-published",
    "as-published-rerun",
    "gpt-4o",
    "llama-3-70b",
    "command-r-plus",
    "gpt-4o-either",
    "llama-3-70b-either",
    "command-r-plus-either",
    "disposition",
)
