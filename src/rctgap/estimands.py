"""What is estimated: the frozen Estimand, and the contrasts, the only place where a sign is decided."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

from rctgap.documents import nearest
from rctgap.errors import EstimandError, Fault
from rctgap.stages import Chain

__all__ = [
    "ALL_ARMS",
    "CONDITIONALS",
    "Conditional",
    "Contrast",
    "Estimand",
    "Kind",
    "MomentKey",
    "conditionals",
    "contrasts",
    "flow_keys",
]

type Items = Literal["fixed", "random"]
type NonUsers = Literal["exclude", "zero", "control"]
type Kind = Literal["component", "family", "gap", "effect", "conditional"]

ALL_ARMS = "all"
CONDITIONALS = ("uptake", "self_rescue")
ITEM_WEIGHTS = ("observed", "trial", "uniform")
ARM_WEIGHTS = ("equal", "observed")


class MomentKey(NamedTuple):
    """A mean that the data estimate directly: of a stage, or of a function of paired stages, in one arm."""

    arm: str
    name: str


@dataclass(frozen=True, slots=True)
class Estimand:
    """The question, written before the data are read.

    Attributes
    ----------
    items : {"fixed", "random"}
        Inference about these items, or about the population that they were drawn from.
    item_weights : {"observed", "trial", "uniform"} or mapping of item to weight
        `observed` leaves each stage at its own mix; `trial` standardises every stage to
        the mix of the analysed AI arms' answers; a mapping is normalised to sum to 1.
    arm_weights : {"equal", "observed"} or mapping of arm to weight
        How the arms make up the row `all`.
    non_users : {"exclude", "zero", "control"}, optional
        What the task stages of an AI-arm participant who never wrote are taken to be;
        required where there are any.

    Raises
    ------
    EstimandError
        A choice that is not one of these, or weights that are negative or all zero.

    Examples
    --------
    >>> from rctgap.estimands import Estimand
    >>> Estimand(items="fixed", item_weights="trial").describe()
    'items fixed, item weights trial, arm weights equal'
    """

    items: Items
    item_weights: str | Mapping[str, float] = "observed"
    arm_weights: str | Mapping[str, float] = "equal"
    non_users: NonUsers | None = None

    def __post_init__(self) -> None:
        _one_of(self.items, get_args(Items.__value__), "items")
        if self.non_users is not None:
            _one_of(self.non_users, get_args(NonUsers.__value__), "non_users")
        for name, known in (("item_weights", ITEM_WEIGHTS), ("arm_weights", ARM_WEIGHTS)):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                object.__setattr__(self, name, _normalised(value, name))
            else:
                _one_of(value, known, name)

    def __reduce__(self) -> tuple[type["Estimand"], tuple[Any, ...]]:
        """Weights travel to worker processes as plain mappings."""
        weights = [dict(one) if isinstance(one, Mapping) else one for one in (self.item_weights, self.arm_weights)]
        return Estimand, (self.items, *weights, self.non_users)

    @property
    def item_weights_name(self) -> str:
        """One word for tables."""
        return self.item_weights if isinstance(self.item_weights, str) else "named"

    @property
    def arm_weights_name(self) -> str:
        """One word for tables."""
        return self.arm_weights if isinstance(self.arm_weights, str) else "named"

    def describe(self) -> str:
        """The choices in one line."""
        parts = [
            f"items {self.items}",
            f"item weights {self.item_weights_name}",
            f"arm weights {self.arm_weights_name}",
        ]
        if self.non_users:
            parts.append(f"non-users {self.non_users}")
        return ", ".join(parts)


def _one_of(value: object, known: Sequence[str], name: str) -> None:
    if value not in known:
        raise EstimandError(Fault("not a known choice", nearest(str(value), known), place=name, value=str(value)))


def _normalised(weights: Mapping[str, float], name: str) -> Mapping[str, float]:
    values = {str(key): _number(value) for key, value in weights.items()}
    total = sum(values.values())
    wrong = next((key for key, value in values.items() if not 0 <= value < math.inf), None)
    if wrong is not None or not total > 0:
        raise EstimandError(
            Fault(
                "weights are negative, missing, infinite or all zero",
                "Give finite non-negative weights with a positive sum",
                place=f"{name}.{wrong}" if wrong else name,
                value=next((str(value) for key, value in weights.items() if str(key) == wrong), None),
            )
        )
    return MappingProxyType({key: value / total for key, value in values.items()})


def _number(value: object) -> float:
    """A weight as a number; NaN, which is refused, for what is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


@dataclass(frozen=True, slots=True)
class Contrast:
    """A quantity that is linear in the moments: its coefficients, its name, and the assumptions it speaks to."""

    arm: str
    quantity: str
    kind: Kind
    coefficients: Mapping[MomentKey, float]
    family: str = ""
    assumptions: tuple[str, ...] = ()
    stages: tuple[str, ...] = field(default=())

    def plus(self, other: "Contrast", weight: float) -> dict[MomentKey, float]:
        """Coefficients of this contrast and `weight` times another."""
        total = dict(self.coefficients)
        for key, value in other.coefficients.items():
            total[key] = total.get(key, 0.0) + weight * value
        return total


@dataclass(frozen=True, slots=True)
class Conditional:
    """A ratio of two linear quantities, such as P(decision right given conversation right)."""

    arm: str
    quantity: str
    numerator: Contrast
    denominator: Contrast


def flow_keys(arm: str, target: str) -> tuple[MomentKey, MomentKey]:
    """Moments of what a paired step into `target` loses and gains."""
    return MomentKey(arm, f"lost:{target}"), MomentKey(arm, f"gained:{target}")


def contrasts(chain: Chain, arm: str, weights: Mapping[str, float], control: str | None) -> tuple[Contrast, ...]:
    """Every linear quantity of one arm, or of a weighted set of arms.

    Parameters
    ----------
    chain : Chain
    arm : str
        The label of the rows: an arm, or `all`.
    weights : mapping of arm to weight
        Summing to 1; a single arm has weight 1.
    control : str, optional
        The control arm; without one there are no effects.
    """
    stage = {name: _mean(arm, name, weights) for name in chain.names}
    found = [*_components(chain, arm, stage), *_families(chain, arm, stage)]
    found.append(_between(arm, "gap", "gap", stage, (chain.first, chain.last), chain.assumptions))
    mix = {name: _mean(arm, f"mix:{name}", weights) for name in (chain.first, chain.last)}
    found.append(_between(arm, "item_mix", "gap", mix, (chain.first, chain.last)))
    if control is not None:
        found.extend(_effects(chain, arm, stage, control))
    return tuple(found)


def _mean(arm: str, name: str, weights: Mapping[str, float]) -> Contrast:
    return Contrast(arm, name, "effect", {MomentKey(one, name): weight for one, weight in weights.items() if weight})


def _between(
    arm: str,
    quantity: str,
    kind: Kind,
    stage: Mapping[str, Contrast],
    ends: tuple[str, str],
    assumptions: tuple[str, ...] = (),
    family: str = "",
) -> Contrast:
    """Accuracy lost from the first end to the second: positive when the first is higher."""
    start, end = ends
    return Contrast(arm, quantity, kind, stage[start].plus(stage[end], -1.0), family, assumptions, ends)


def _components(chain: Chain, arm: str, stage: Mapping[str, Contrast]) -> list[Contrast]:
    return [
        _between(arm, to.name, "component", stage, (start.name, to.name), step.assumptions, step.family)
        for start, to, step in chain.steps
    ]


def _families(chain: Chain, arm: str, stage: Mapping[str, Contrast]) -> list[Contrast]:
    found = []
    for family in dict.fromkeys(step.family for _, _, step in chain.steps):
        steps = [(start.name, to.name, step) for start, to, step in chain.steps if step.family == family]
        total: dict[MomentKey, float] = {}
        for start, end, _ in steps:
            for key, value in stage[start].plus(stage[end], -1.0).items():
                total[key] = total.get(key, 0.0) + value
        kept = {key: value for key, value in total.items() if value}
        assumptions = tuple(name for _, _, step in steps for name in step.assumptions)
        touched = tuple(dict.fromkeys(name for start, end, _ in steps for name in (start, end)))
        found.append(Contrast(arm, f"{family}", "family", kept, family, assumptions, touched))
    return found


def _effects(chain: Chain, arm: str, stage: Mapping[str, Contrast], control: str) -> list[Contrast]:
    """Each stage against the control arm's decisions, resting on the assumptions not yet relaxed."""
    reference = Contrast(control, chain.last, "effect", {MomentKey(control, chain.last): 1.0})
    found = []
    for position, name in enumerate(chain.names):
        rests_on = tuple(one for step in chain.transitions[position:] for one in step.assumptions)
        found.append(
            Contrast(arm, _effect_name(chain, name), "effect", stage[name].plus(reference, -1.0), "", rests_on, (name,))
        )
    return found


def _effect_name(chain: Chain, stage: str) -> str:
    if stage == chain.first:
        return "predicted_effect"
    return "realized_effect" if stage == chain.last else f"predicted_effect_after_{stage}"


def conditionals(arm: str, weights: Mapping[str, float]) -> tuple[Conditional, ...]:
    """Uptake and self-rescue: the last stage given the one before it."""
    return tuple(
        Conditional(arm, name, _mean(arm, f"{name}:hit", weights), _mean(arm, f"{name}:given", weights))
        for name in CONDITIONALS
    )
