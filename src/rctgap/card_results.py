"""Evidence for a card from result folders, refused where they were made with another card."""

from collections.abc import Sequence
from pathlib import Path

from rctgap.card_evidence import DeploymentEvidence
from rctgap.cards import BenchmarkCard, read_card
from rctgap.deployment_evidence import evidence_of
from rctgap.errors import CardError, Fault
from rctgap.export import load, load_manifest
from rctgap.result_folders import results_in

__all__ = ["evidence_from"]


def evidence_from(card: BenchmarkCard, folders: Sequence[Path]) -> tuple[DeploymentEvidence, ...]:
    """What result folders say of a card's assumptions, one record a result.

    Parameters
    ----------
    card : BenchmarkCard
    folders : sequence of Path
        Result folders, or folders of several results.

    Raises
    ------
    CardError
        A result speaks of an assumption that the card lacks, or was made with a card of other assumptions; every ID
        is named.
    OutputError
        A folder holds no result, or a damaged one.
    """
    return tuple(_evidence(card, place) for folder in folders for place in results_in(folder))


def _evidence(card: BenchmarkCard, place: Path) -> DeploymentEvidence:
    result = load(place)
    card.require((row.assumption_id for row in result.assumptions), str(place))
    made_with = place / "card.yaml"
    if made_with.is_file():
        _insist_on_the_same(card, read_card(made_with), place)
    return evidence_of(result, load_manifest(place))


def _insist_on_the_same(card: BenchmarkCard, made_with: BenchmarkCard, place: Path) -> None:
    """Refuse a result whose own card states other assumptions."""
    advice = "Write the evidence into the card that the result was made with, or run the analysis with this one"
    further = [name for name in card.ids if name not in made_with.ids]
    lacking = [name for name in made_with.ids if name not in card.ids]
    faults = [
        Fault("the result was made with a card without this assumption", advice, str(place), value=name)
        for name in further
    ]
    faults += [
        Fault("the result was made with a card that also has this assumption", advice, str(place), value=name)
        for name in lacking
    ]
    if faults:
        raise CardError(*faults)
