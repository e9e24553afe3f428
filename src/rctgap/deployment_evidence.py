"""What a result says of its card's assumptions, as evidence that the card can carry."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from rctgap import __version__
from rctgap.card_evidence import AssumptionEvidence, DeploymentEvidence, Status
from rctgap.errors import Fault, OutputError
from rctgap.records import AssumptionRow, Settings
from rctgap.results import GapDecomposition

__all__ = ["evidence_of"]

UNTITLED = "Gap decomposition"
NOT_DATA = frozenset({"analysis", "card", "dictionary"})
DIGITS = 6


def evidence_of(result: GapDecomposition, manifest: Mapping[str, Any]) -> DeploymentEvidence:
    """What a result says of its card's assumptions, with the hashes of what it was made from.

    Parameters
    ----------
    result : GapDecomposition
        As it is written: with small cells hidden. Its title names the deployment.
    manifest : mapping
        What the result was made from, as in manifest.json.

    Returns
    -------
    DeploymentEvidence
        Figures in proportions, to six digits.

    Raises
    ------
    OutputError
        An assumption has a status that no card can carry, or the manifest is damaged.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> from rctgap.deployment_evidence import evidence_of
    >>> frame = pd.DataFrame({"arm": "a1", "conversation": [1, 1, 0], "decision": [1, 0, 0], "count": [30, 40, 30]})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimand = rg.Estimand(items="fixed")
    >>> card = rg.read_card({"outcome": {"decision_mediation": {"question": "Who decides?", "answer": "The AI"}}})
    >>> result = rg.decompose(rg.estimate_frequentist(scores, estimand), estimand, card)
    >>> [(one.assumption_id, one.status) for one in evidence_of(result, {}).assumptions]
    [('outcome.decision_mediation', 'untested')]
    """
    inputs = _inputs(manifest)
    return DeploymentEvidence(
        deployment=result.title or UNTITLED,
        estimand=_estimand(result.settings),
        final=result.final,
        data_date=_date(manifest),
        data_sha256=_together([one for one in inputs if one[0] not in NOT_DATA]),
        analysis_sha256=next((found for role, _, found in inputs if role == "analysis"), ""),
        version=str(_part(manifest, "versions").get("rctgap", __version__)),
        assumptions=tuple(_assumption(row) for row in result.assumptions),
    )


def _assumption(row: AssumptionRow) -> AssumptionEvidence:
    if row.status not in get_args(Status.__value__):
        known = f"A status is one of {', '.join(get_args(Status.__value__))}; run the analysis again"
        raise OutputError(Fault("this status cannot stand in a card", known, place=row.assumption_id, value=row.status))
    return AssumptionEvidence(
        assumption_id=row.assumption_id,
        status=cast("Status", row.status),
        estimate=_rounded(row.estimate),
        lower=_rounded(row.lower),
        upper=_rounded(row.upper),
        level=_rounded(row.level),
        margin=_rounded(row.margin),
        joint_with=tuple(name for name in row.joint_with.split(";") if name),
        evidence=row.evidence,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS) + 0.0


def _estimand(chosen: Settings) -> str:
    """What was estimated, how, and from which scores, in one line."""
    users = f", non-users {chosen.non_users}" if chosen.non_users else ""
    covariance = f", covariance {chosen.covariance}" if chosen.covariance else ""
    scores = f"; scores {chosen.scores}" if chosen.scores != "as given" else ""
    errors = f"; not corrected for the scorer's errors: {', '.join(chosen.uncorrected)}" if chosen.uncorrected else ""
    return (
        f"items {chosen.items}, item weights {chosen.item_weights}, arm weights {chosen.arm_weights}{users}; "
        f"{chosen.method} {chosen.estimator}{covariance}{scores}{errors}"
    )


def _inputs(manifest: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Role, name and SHA-256 of every file behind a result."""
    try:
        return [(str(one["role"]), str(one["file"]), str(one["sha256"])) for one in manifest.get("inputs", ())]
    except (TypeError, KeyError):
        raise OutputError(Fault("the manifest is damaged", "Run the analysis again", place="inputs")) from None


def _part(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = content.get(key)
    return found if isinstance(found, Mapping) else {}


def _date(manifest: Mapping[str, Any]) -> str:
    return str(_part(_part(manifest, "analysis"), "data").get("date") or "")


def _together(inputs: Sequence[tuple[str, str, str]]) -> str:
    """One SHA-256 over the data's files, whatever their order; empty where there are none."""
    if not inputs:
        return ""
    lines = sorted("\t".join(one) + "\n" for one in inputs)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
