"""Evidence for a card from result folders, refused where they were made with another card."""

from collections.abc import Sequence
from pathlib import Path

from rctgap.card_evidence import DeploymentEvidence
from rctgap.card_format import displayed
from rctgap.cards import BenchmarkCard, read_card
from rctgap.deployment_evidence import evidence_of
from rctgap.errors import CardError, Fault
from rctgap.export import load, load_manifest
from rctgap.result_folders import results_in

__all__ = ["evidence_from", "refuse_to_replace"]


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
        A result speaks of an assumption that the card lacks, or was made with a card of another benchmark or of other
        assumptions: IDs, questions or answers. Every difference is named.
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
    """Refuse a result whose own card is of another benchmark, or states other assumptions."""
    advice = "Write the evidence into the card that the result was made with, or run the analysis with this one"
    faults = [
        Fault("the result was made with a card without this assumption", advice, str(place), value=name)
        for name in card.ids
        if name not in made_with.ids
    ]
    faults += [
        Fault("the result was made with a card that also has this assumption", advice, str(place), value=name)
        for name in made_with.ids
        if name not in card.ids
    ]
    if card.name.strip() != made_with.name.strip():
        what = f"the result was made with the card of another benchmark than {displayed(card.name)!r}"
        faults.append(Fault(what, advice, str(place), value=displayed(made_with.name)))
    faults += [
        Fault(f"the result was made with another {part} to {one.id}", advice, str(place), value=displayed(theirs))
        for one in card.assumptions
        for other in made_with.assumptions
        if other.id == one.id
        for part, ours, theirs in (("question", one.question, other.question), ("answer", one.answer, other.answer))
        if ours.strip() != theirs.strip()
    ]
    if faults:
        raise CardError(*faults)


def refuse_to_replace(card: BenchmarkCard, found: Sequence[DeploymentEvidence]) -> None:
    """Refuse evidence that would take the place of what other data said under the same title.

    Raises
    ------
    CardError
        Every such title.
    """
    held = {one.deployment: one for one in card.evidence}
    advice = "Give the analysis a title of its own, or pass --replace to drop what the card holds under this one"
    faults = [
        Fault("the card holds evidence of this title from other data", advice, str(card.path), value=one.deployment)
        for one in found
        if one.deployment in held and held[one.deployment].data_sha256 != one.data_sha256
    ]
    if faults:
        raise CardError(*faults)
