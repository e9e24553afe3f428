"""Whether answers of one person could be tied together."""

from rctgap.records import CheckResult
from rctgap.results import GapDecomposition

__all__ = ["clustering"]


def clustering(result: GapDecomposition) -> CheckResult:
    """Warn where participants are not identified, so that their answers count as independent."""
    if result.settings.n_participants is None:
        return CheckResult(
            "clustering",
            "warning",
            "",
            "Participants are not identified: answers of one person could not be tied, and intervals over answers are "
            "too narrow if they agree more than answers of different people.",
        )
    if result.settings.covariance in ("robust", "item"):
        return CheckResult(
            "clustering",
            "warning",
            "",
            f"Participants are identified, and covariance `{result.settings.covariance}` does not tie their answers.",
        )
    return CheckResult("clustering", "pass", "", f"Answers are tied to {result.settings.n_participants} participants.")
