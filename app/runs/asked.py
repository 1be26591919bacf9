"""What a run can be asked for beside its candidates, and what its plan says, on the wire."""

from typing import Annotated, Any, Literal

import msgspec

from app.generation.schemas import Draft

MAX_CANDIDATES = 100

Part = str | Draft
Choices = Annotated[list[Part], msgspec.Meta(max_length=MAX_CANDIDATES)]
OrNone = Annotated[list[Part | None], msgspec.Meta(max_length=MAX_CANDIDATES)]


class Matrix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every combination is a candidate, the last list turning fastest. A list that is left out: the prompt's own RAG and tool
    config, the suite's endpoints, no params. Null in `rag_configs` and `tool_configs` is none."""

    prompts: Annotated[list[Part], msgspec.Meta(min_length=1, max_length=MAX_CANDIDATES)]
    rag_configs: OrNone = []
    tool_configs: OrNone = []
    endpoints: Choices = []
    params: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=MAX_CANDIDATES)] = []


class Only(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which cases; all that is given must hold: one of the `tags`, one of the `ids`, and `text` somewhere in the inputs, the
    history or the reference, in whatever case."""

    tags: Annotated[list[str], msgspec.Meta(max_length=1_000)] = []
    ids: Annotated[list[str], msgspec.Meta(max_length=10_000)] = []
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)] | None = None


class RunExtend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many cases and repeats the run is to have in all; `budget_usd` replaces the run's budget."""

    max_cases: Annotated[int, msgspec.Meta(ge=1)] | None = None
    repeats: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    budget_usd: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = None


class RunClone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`changes` are fields of a run's request that replace those of the run; `matrix` replaces its candidates, too."""

    changes: dict[str, Any] = {}


class EndpointPlan(msgspec.Struct, frozen=True):
    """What a run will do with one endpoint, as it answers or as it judges. Of judges `cells` are scores, each of which may
    take several calls.

    `cost_usd` is what is expected, null without a price. `recorded`: from the tokens and the latency of answers that this
    endpoint gave before; `estimate`: from the size of what is sent, half the longest answer, and a typical speed.
    """

    endpoint: str
    role: Literal["answers", "judge"]
    cells: int
    cached: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    seconds: float
    based_on: Literal["recorded", "estimate"]


class RunPlan(msgspec.Struct, frozen=True):
    """What a run will do, before it calls anything. `expected_cost_usd` is what it will likely cost, `estimated_cost_usd` what
    it may cost at most (budgets are held against that); both are null when an endpoint that is called has no price.
    `estimated_s` is the time that the slowest endpoint will likely take within its limits."""

    cells: int
    cached: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    expected_cost_usd: float | None
    estimated_cost_usd: float | None
    estimated_s: float
    endpoints: list[EndpointPlan]
    warnings: list[str]
