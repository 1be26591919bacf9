"""What a run will call, and what that may take: at most, for its budget; and likely, for whoever is about to start it."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from app.generation.schemas import Bundle, CaseInput
from app.kit.errors import BudgetError, InvalidContentError
from app.llm.schemas import Limits, Price
from app.runs.asked import EndpointPlan, RunPlan
from app.runs.asking import Asked, Judging
from app.runs.budget import DEFAULT_ANSWER_TOKENS, most_nano
from app.runs.sampling import words
from app.runs.schemas import NANO, usd
from app.runs.spec import Metric, Variant
from app.runs.usage import Usual
from evaluators.tokens import count

Keys = list[list[list[str]]]
"""`keys[variant][case][repeat]`"""

CASES_COUNTED = 100
"""Cases whose tokens are counted; the others are taken to be like them."""
CHUNK_TOKENS = 500
FIRST_TOKEN_S, PER_TOKEN_S = 0.5, 0.02
"""A typical speed, where nothing is known of an endpoint."""


class Asking(NamedTuple):
    """One scorer that asks models, and how many of its scores are not known."""

    metric: Metric
    judging: Judging
    known: int
    open: int

    @property
    def votes(self) -> int:
        rubric = self.judging.rubric
        votes = self.metric.args.get("votes", 1 if rubric is None else rubric.content.votes)
        return votes if isinstance(votes, int) else 1


def open_cells(keys: Keys, known: set[str]) -> list[dict[int, int]]:
    """By variant: how many answers are to be made for each case. One that two cells share is made once, for the first."""
    seen = set(known)
    found: list[dict[int, int]] = []
    for variant in keys:
        counts: dict[int, int] = {}
        for case_no, case in enumerate(variant):
            fresh = {key for key in case if key not in seen}
            if fresh:
                seen |= fresh
                counts[case_no] = len(fresh)
        found.append(counts)
    return found


def at_most(
    budget_usd: float | None,
    bundles: Sequence[Bundle],
    cases: Sequence[CaseInput],
    open_: Sequence[dict[int, int]],
    asking: Sequence[Asking],
) -> int | None:
    """What the calls for answers that are not known, and for judging, may cost at most, in nano-dollars; None when an
    endpoint that is called has no price.

    Raises `InvalidContentError` for such an endpoint and `BudgetError` for a single call that a budget does not allow.
    """
    total, least, priced = 0, None, True
    for bundle, counts in zip(bundles, open_, strict=True):
        calls = bundle.endpoint.provider != "replay"
        if calls and bundle.endpoint.price is None:
            priced = unpriced(budget_usd, bundle.spec.name)
            continue
        for case_no, cells in counts.items():
            amount = reservation(bundle, cases[case_no])
            total += cells * amount
            if calls:
                least = amount if least is None else min(least, amount)
    for one in asking:
        for name, most in one.judging.most_nano(one.metric.args):
            if most is None:
                priced = unpriced(budget_usd, name)
            else:
                total += one.open * most
    if budget_usd is not None and least is not None and least > budget_usd * NANO:
        raise BudgetError.at(
            "/budget_usd",
            f"one call may cost ${least / NANO:.6f}; a budget of ${budget_usd:g} does not allow it",
        )
    return total if priced else None


def unpriced(budget_usd: float | None, endpoint: str) -> bool:
    """False. Raises `InvalidContentError` where a budget is to bound an endpoint without a price."""
    if budget_usd is not None:
        raise InvalidContentError.at(
            "/budget_usd", f"the endpoint {endpoint!r} has no price, so that a budget cannot bound it"
        )
    return False


def reservation(bundle: Bundle, case: CaseInput) -> int:
    """Nano-dollars that one cell may cost at most, from the size of what is sent and the longest answer."""
    price = bundle.endpoint.price
    if price is None or bundle.endpoint.provider == "replay":
        return 0
    size = len(msgspec.json.encode(bundle.prompt.messages)) + len(msgspec.json.encode((case.inputs, case.history)))
    if bundle.rag is not None:
        size += 2_000 * bundle.rag.retriever.top_k
    if bundle.tools is not None:
        size += len(msgspec.json.encode(bundle.tools))
    rounds = bundle.tools.max_rounds if bundle.tools is not None else 1
    return rounds * most_nano(size, _params(bundle), price.input, price.output)


def _params(bundle: Bundle) -> dict[str, Any]:
    return {**bundle.endpoint.params, **bundle.prompt.params, **bundle.params}


class Call(NamedTuple):
    """What one call is expected to take."""

    prompt_tokens: float
    completion_tokens: float
    seconds: float
    recorded: bool


REPLAYED = Call(0.0, DEFAULT_ANSWER_TOKENS / 2, 0.0, recorded=True)
"""A recorded answer is read, not called for; judges read it all the same."""


class _Row:
    """One endpoint in one role, put together from everything that calls it."""

    def __init__(self, name: str, role: Any, limits: Limits, price: Price | None) -> None:
        self.name, self.role, self.limits, self.price = name, role, limits, price
        self.cells = self.cached = self.calls = 0
        self.prompt = self.completion = self.busy_s = self.longest_s = 0.0
        self.recorded = True

    def add(self, cells: int, cached: int, calls: int, call: Call) -> None:
        self.cells += cells
        self.cached += cached
        self.calls += calls
        if calls:
            self.prompt += calls * call.prompt_tokens
            self.completion += calls * call.completion_tokens
            self.busy_s += calls * call.seconds
            self.longest_s = max(self.longest_s, call.seconds)
            self.recorded = self.recorded and call.recorded

    @property
    def seconds(self) -> float:
        """As long as the calls take beside each other, or as the limits per minute make them wait."""
        limits = self.limits
        return max(
            self.longest_s,
            self.busy_s / limits.max_concurrency,
            60 * self.calls / limits.rpm if limits.rpm else 0.0,
            60 * (self.prompt + self.completion) / limits.tpm if limits.tpm else 0.0,
        )

    @property
    def cost_usd(self) -> float | None:
        if not self.calls:
            return 0.0
        if self.price is None:
            return None
        return (self.prompt * self.price.input + self.completion * self.price.output) / 1_000_000

    def told(self) -> EndpointPlan:
        return EndpointPlan(
            endpoint=self.name,
            role=self.role,
            cells=self.cells,
            cached=self.cached,
            calls=self.calls,
            prompt_tokens=round(self.prompt),
            completion_tokens=round(self.completion),
            cost_usd=self.cost_usd,
            seconds=round(self.seconds, 2),
            based_on="recorded" if self.recorded and self.calls else "estimate",
        )


class Grid(NamedTuple):
    """What a plan is made of; `open_` as `open_cells` gives it."""

    bundles: Sequence[Bundle]
    variants: Sequence[Variant]
    cases: Sequence[CaseInput]
    repeats: int
    open_: Sequence[dict[int, int]]
    asking: Sequence[Asking]


def expected(grid: Grid, usual: Sequence[Usual | None], most: int | None, known: int, warnings: list[str]) -> RunPlan:
    """The plan. `usual` by variant is what was recorded, `most` the highest cost, `known` how many cells have an answer.

    CPU work, which counts tokens: call it off the event loop.
    """
    rows: dict[tuple[str, str], _Row] = {}
    each = len(grid.cases) * grid.repeats
    answers: list[Call] = []
    for bundle, variant, counts, seen in zip(grid.bundles, grid.variants, grid.open_, usual, strict=True):
        cells = sum(counts.values())
        called = bundle.endpoint.provider != "replay"
        call = _call(bundle, grid.cases, list(counts), seen) if called else REPLAYED
        answers.append(call)
        row = rows.setdefault(
            (variant.endpoint_digest, "answers"),
            _Row(variant.endpoint_name, "answers", bundle.spec.limits, bundle.spec.price),
        )
        row.add(each, each - cells, cells if called else 0, call)
    for one in grid.asking:
        for asked in one.judging.all:
            content = asked.endpoint.content
            limits = Limits(content.limits.rpm, content.limits.tpm, content.limits.max_concurrency)
            price = content.price and Price(content.price.input, content.price.output)
            row = rows.setdefault((asked.endpoint.digest, "judge"), _Row(asked.name, "judge", limits, price))
            embeds = asked is one.judging.embedder
            calls = one.open * (1 if embeds else one.votes)
            row.add(one.known + one.open, one.known, calls, _judgement(one, asked, answers, embeds=embeds))
    told = [row.told() for row in rows.values()]
    costs = [one.cost_usd for one in told]
    at_once: dict[str, float] = {}
    for (digest, _), row in rows.items():
        at_once[digest] = at_once.get(digest, 0.0) + row.seconds
    return RunPlan(
        cells=each * len(grid.variants),
        cached=known,
        calls=sum(one.calls for one in told),
        prompt_tokens=sum(one.prompt_tokens for one in told),
        completion_tokens=sum(one.completion_tokens for one in told),
        expected_cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        estimated_cost_usd=None if most is None else usd(most),
        estimated_s=round(max(at_once.values(), default=0.0), 2),
        endpoints=told,
        warnings=warnings,
    )


def _call(bundle: Bundle, cases: Sequence[CaseInput], wanted: Sequence[int], seen: Usual | None) -> Call:
    """One answer: as recorded, and what is not recorded from sizes."""
    if seen is not None and seen.prompt_tokens is not None:
        prompt = seen.prompt_tokens
    else:
        prompt = _prompt_tokens(bundle, cases, wanted or range(len(cases)))
    if seen is not None:
        completion = _half(_params(bundle)) if seen.completion_tokens is None else seen.completion_tokens
        return Call(prompt, completion, seen.seconds, recorded=True)
    completion = _half(_params(bundle))
    return Call(prompt, completion, FIRST_TOKEN_S + completion * PER_TOKEN_S, recorded=False)


def _half(params: dict[str, Any]) -> float:
    longest = params.get("max_completion_tokens") or params.get("max_tokens") or DEFAULT_ANSWER_TOKENS
    return int(longest) / 2


def _prompt_tokens(bundle: Bundle, cases: Sequence[CaseInput], wanted: Sequence[int]) -> float:
    """The mean over cases that are spread evenly; of retrieval what its passages usually have."""
    model = bundle.endpoint.model
    fixed = count(" ".join(words(msgspec.to_builtins(bundle.prompt.messages))), model).tokens
    if bundle.rag is not None:
        fixed += CHUNK_TOKENS * bundle.rag.retriever.top_k
    if bundle.tools is not None:
        fixed += count(msgspec.json.encode(bundle.tools).decode(), model).tokens
    step = -(-len(wanted) // CASES_COUNTED)
    some = wanted[::step]
    declared = bundle.prompt.variables
    total = 0
    for case_no in some:
        case = cases[case_no]
        used = [value for name, value in case.inputs.items() if name in declared]
        total += count(" ".join(chain(words(used), words(case.history))), model).tokens
    return fixed + total / len(some)


def _judgement(one: Asking, asked: Asked, answers: Sequence[Call], *, embeds: bool) -> Call:
    """One call of a judge: it reads what was asked and answered beside its rubric. Embedders write nothing."""
    answer = sum(call.completion_tokens for call in answers) / len(answers)
    if embeds:
        return Call(2 * answer, 0.0, FIRST_TOKEN_S, recorded=False)
    rubric = None if one.judging.rubric is None else one.judging.rubric.content
    params = {**asked.endpoint.content.params, **({} if rubric is None else rubric.params)}
    own = count(msgspec.json.encode((rubric, one.metric.args)).decode(), asked.endpoint.content.model).tokens
    question = sum(call.prompt_tokens for call in answers) / len(answers)
    completion = _half(params)
    return Call(own + question + answer, completion, FIRST_TOKEN_S + completion * PER_TOKEN_S, recorded=False)
