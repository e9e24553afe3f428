"""The form of analysis.yaml, strict: unknown keys are refused with the nearest valid spelling."""

import datetime as dt
from typing import Annotated, Any, Literal

import pydantic

from rctgap.linkage import Duplicates, NoLog
from rctgap.logs.reading import Format
from rctgap.stages import Family, Source

__all__ = ["AnalysisFile", "ArmEntry", "BootstrapEntry", "Conversations", "StageEntry"]


def _text(value: Any) -> Any:
    """Labels may be written as YAML numbers, and a day as a YAML date."""
    return str(value) if isinstance(value, int | float | dt.date) and not isinstance(value, bool) else value


def _setting(value: Any) -> Any:
    """A scorer's settings are read as the scorer needs them."""
    return str(value).lower() if isinstance(value, bool) else _text(value)


type Text = Annotated[str, pydantic.BeforeValidator(_text)]
type Weights = dict[Text, float]


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


type Setting = Annotated[str | dict[Text, str], pydantic.BeforeValidator(_setting)]


class Conversations(_Part):
    """Where the logs are, how they are written, and what ties them to the trial's answers."""

    path: str
    format: Format = "auto"
    columns: dict[str, str] = {}
    link: dict[str, str] = {}
    duplicates: Duplicates = "refuse"
    no_log: NoLog = "missing"


def _logs(given: Any) -> Any:
    return {"path": given} if isinstance(given, str) else given


class Data(_Part):
    """Paths of the tables, and when the data were collected, as text."""

    trial: str
    benchmark: str | None = None
    items: str | None = None
    conversations: Annotated[Conversations | None, pydantic.BeforeValidator(_logs)] = None
    labels: str | None = None
    date: Text | None = None


class Completeness(_Part):
    """How much of an item's key facts people's messages carry: where the facts are, and which messages count."""

    key: str
    scopes: tuple[str, ...] = ("first_user", "user")


class DesignEntry(_Part):
    """Units and strata."""

    unit: Literal["participant", "observation"] = "participant"
    crossover: bool = False
    strata: tuple[str, ...] = ()


class ArmEntry(_Part):
    """An AI arm with a system of another name, or with borrowed stages."""

    system: str = ""
    rows: dict[str, Text] = {}
    because: str = ""

    @pydantic.model_validator(mode="after")
    def _reason(self) -> "ArmEntry":
        if self.rows and not self.because.strip():
            raise ValueError("stages are borrowed (`rows`) without a reason. Say why under `because`")
        return self


def _arms(given: Any) -> Any:
    if isinstance(given, list):
        if len({str(label) for label in given}) != len(given):
            raise ValueError("an arm is listed twice. Name each arm once")
        return {str(label): {} for label in given}
    if isinstance(given, dict):
        return {str(label): {} if entry is None else entry for label, entry in given.items()}
    raise ValueError("not a list or mapping of arms. For example [a1, a2] or {a1: {system: GPT-4o}}")


class Arms(_Part):
    """Which arms take part."""

    control: Text | None = None
    ai: Annotated[dict[Text, ArmEntry], pydantic.BeforeValidator(_arms)]
    column: str | None = None


class Exclude(_Part):
    """Rows left out, and why."""

    where: dict[str, str | int | float | bool] = pydantic.Field(min_length=1)
    reason: str = pydantic.Field(min_length=1)


class SystemEntry(_Part):
    """The system of a stage's rows: a column, or one value."""

    column: str = ""
    value: str = ""

    @pydantic.model_validator(mode="after")
    def _one(self) -> "SystemEntry":
        if bool(self.column) == bool(self.value):
            raise ValueError("both or neither of `column` and `value` given. Give one of them")
        return self


class StageEntry(_Part):
    """One stage."""

    name: str = pydantic.Field(pattern=r"^[a-z][a-z0-9_]*$")
    source: Source = pydantic.Field(alias="from")
    score: str = ""
    system: SystemEntry | None = None


class TransitionEntry(_Part):
    """One transition."""

    to: str
    family: Family
    assumptions: tuple[str, ...] = ()


class EstimandEntry(_Part):
    """What is estimated."""

    items: Literal["fixed", "random"]
    item_weights: Literal["observed", "trial", "uniform"] | Weights = "observed"
    arm_weights: Literal["equal", "observed"] | Weights = "equal"
    non_users: Literal["exclude", "zero", "control"] | None = None


class BootstrapEntry(_Part):
    """Intervals from replicates, shown beside."""

    kind: Literal["participant", "item", "crossed"] | None = None
    replicates: int = pydantic.Field(default=10_000, ge=100)
    interval: Literal["percentile", "bca", "studentized"] | None = None
    weights: Literal["multinomial", "bayesian"] = "multinomial"


class WildEntry(_Part):
    """Wild cluster bootstrap-t tests."""

    weights: Literal["rademacher", "webb"] = "rademacher"
    replicates: int = pydantic.Field(default=9999, ge=100)


class RandomisationEntry(_Part):
    """Randomisation tests of the realized effects."""

    studentised: bool = True
    replicates: int = pydantic.Field(default=9999, ge=100)


class Frequentist(_Part):
    """How frequentist intervals are made."""

    covariance: Literal["robust", "cluster", "cluster2", "item"] | None = None
    small_sample: Literal["CR1", "CR2", "CR3"] = "CR2"
    level: float = pydantic.Field(default=0.95, gt=0, lt=1)
    intervals: Literal["t", "few-items", "bounded"] | None = None
    adjustment: Literal["linear", "logistic", "none"] | None = None
    bootstrap: BootstrapEntry | None = None
    wild: WildEntry | None = None
    randomisation: RandomisationEntry | None = None
    complier_effects: bool = False


class Bayesian(_Part):
    """Settings of a posterior; what is left out takes the model's own default.

    `tune`, `chains`, `priors`, `sampler` and `compare` (with nested models) are of models with chains and priors.
    """

    model: Literal["hierarchical", "bootstrap"] = "hierarchical"
    draws: int | None = pydantic.Field(default=None, ge=1)
    tune: int | None = pydantic.Field(default=None, ge=1)
    chains: int | None = pydantic.Field(default=None, ge=1)
    level: float = pydantic.Field(default=0.95, gt=0, lt=1)
    interval: Literal["equal_tailed", "hdi"] = "equal_tailed"
    priors: dict[str, float] = {}
    sampler: Literal["pymc", "nutpie", "numpyro"] | None = None
    compare: bool | None = None


class UntestedPrior(_Part):
    """What is believed of an untested assumption's component, in proportions: a normal distribution."""

    mean: float = pydantic.Field(gt=-1, lt=1)
    sd: float = pydantic.Field(gt=0, lt=1)


class Staged(_Part):
    """Settings of a staged evaluation; `margins` by transition, `priors` by assumption."""

    margin: float = pydantic.Field(default=0.05, gt=0, lt=1)
    margins: dict[str, Annotated[float, pydantic.Field(gt=0, lt=1)]] = {}
    alpha: float = pydantic.Field(default=0.05, gt=0, lt=0.5)
    power: float = pydantic.Field(default=0.8, gt=0, lt=1)
    priors: dict[str, UntestedPrior] = {}


class CellEntry(_Part):
    """A mean under another set of relaxed assumptions than the chain passes through."""

    name: str = pydantic.Field(pattern=r"^[a-z][a-z0-9_]*$")
    score: str
    relaxes: tuple[str, ...] = pydantic.Field(min_length=1)


class AnalysisFile(_Part):
    """The whole file; of `staged`, the margin also serves a posterior's statements.

    `outcomes` are other measures of the last stage, by name and column; `cells` further means for other stage orders.
    """

    schema_: Literal["rctgap/analysis/1"] = pydantic.Field(alias="schema")
    title: str = ""
    card: str | None = None
    dictionary: str | None = None
    data: Data
    design: DesignEntry = DesignEntry()
    arms: Arms
    exclude: tuple[Exclude, ...] = ()
    stages: tuple[StageEntry, ...] = pydantic.Field(min_length=2)
    transitions: tuple[TransitionEntry, ...] = ()
    scoring: dict[str, dict[str, Setting]] = {}
    completeness: Completeness | None = None
    multiverse: dict[str, tuple[dict[str, Setting], ...]] = {}
    covariates: tuple[str, ...] = ()
    outcomes: dict[str, str] = {}
    cells: tuple[CellEntry, ...] = ()
    estimand: EstimandEntry
    frequentist: Frequentist = Frequentist()
    bayesian: Bayesian = Bayesian()
    staged: Staged = Staged()
    allow_mixed_systems: bool = False
    suppress_below: int = pydantic.Field(default=5, ge=0)
    seed: int | None = None
