"""Suites: which dataset, which endpoints, which scorers, and the policy that judges."""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from app.kit.errors import FieldError
from app.registry.derived import DerivedError, DerivedSpec, Range, Repeats, range_of, reduction_problem
from app.registry.kinds.base import Content, Kind, Reference, Tag
from evaluators.metrics.reducers import Reducer


class ScorerSpec(Content, frozen=True):
    """One scorer of a suite. Its metric is called `name`, or `use`; `when` limits it to items with one of these tags.

    `reduce` says how the repeats of a case become one number (with `k` for pass_at_k, pass_hat_k and at_least_k); all but
    the mean leave a case open that lacks a repeat.
    """

    use: str
    name: str | None = None
    args: dict[str, Any] = {}
    weight: float = 1.0
    when: list[str] = []
    reduce: Reducer = "mean"
    k: Repeats | None = None

    @property
    def metric(self) -> str:
        return self.name or self.use


class Suite(Content, frozen=True):
    """`split` limits it to that part of the dataset; `derived` are metrics made of the scorers' and of those before."""

    dataset: str
    scorers: Annotated[list[ScorerSpec], msgspec.Meta(min_length=1)]
    description: str = ""
    endpoints: list[str] = []
    repeats: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    policy: str | None = None
    tags: list[Tag] = []
    split: str = ""
    derived: list[DerivedSpec] = []


def references(suite: Suite) -> Iterable[Reference]:
    yield Reference("/dataset", "dataset", suite.dataset)
    for i, endpoint in enumerate(suite.endpoints):
        yield Reference(f"/endpoints/{i}", "endpoint", endpoint)
    if suite.policy is not None:
        yield Reference("/policy", "gate_policy", suite.policy)
    for i, scorer in enumerate(suite.scorers):
        if isinstance(rubric := scorer.args.get("rubric"), str):
            yield Reference(f"/scorers/{i}/args/rubric", "rubric", rubric)


def problems(suite: Suite) -> Iterable[FieldError]:
    from evaluators.contract import ScorerConfigError
    from evaluators.judging import JudgeScorer
    from evaluators.registry import build, get

    seen: set[str] = set()
    ranges: dict[str, Range] = {}
    for i, scorer in enumerate(suite.scorers):
        if scorer.metric in seen:
            yield FieldError(
                f"/scorers/{i}/name", f"two scorers are called {scorer.metric!r}; give one of them a `name`"
            )
        seen.add(scorer.metric)
        ranges[scorer.metric], says_passed = Range("maximize", 0.0, 1.0), None
        try:
            # A judge is built when a run has its rubric.
            if not (issubclass(get(scorer.use), JudgeScorer) and isinstance(scorer.args.get("rubric"), str)):
                built = build(scorer.use, scorer.args)
                read = built.value_range
                ranges[scorer.metric] = Range(read.direction, read.low, read.high)
                says_passed = built.verdict(read.low) is not None
        except ScorerConfigError as error:
            yield FieldError(f"/scorers/{i}{error.pointer}", str(error))
        if (problem := reduction_problem(scorer.reduce, scorer.k, says_passed, f"/scorers/{i}")) is not None:
            yield problem
    yield from _derived_problems(suite.derived, ranges)
    for i, endpoint in enumerate(suite.endpoints):
        if endpoint in suite.endpoints[:i]:
            yield FieldError(f"/endpoints/{i}", f"{endpoint!r} is there already")


def _derived_problems(derived: list[DerivedSpec], ranges: dict[str, Range]) -> Iterable[FieldError]:
    for i, metric in enumerate(derived):
        at = f"/derived/{i}"
        if metric.name in ranges:
            yield FieldError(f"{at}/name", f"another metric is called {metric.name!r}")
            continue
        try:
            ranges[metric.name] = range_of(metric, ranges)
        except DerivedError as error:
            yield FieldError(at + error.pointer, error.message)
        if (problem := reduction_problem(metric.reduce, metric.k, metric.threshold is not None, at)) is not None:
            yield problem


KIND = Kind("suite", "suites", ".suite.yaml", Suite, ("dataset", "scorers", "split", "derived"), references, problems)
