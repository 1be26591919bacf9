"""Suites: which dataset, which endpoints, which scorers, and the policy that judges."""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from app.kit.errors import FieldError
from app.registry.kinds.base import Content, Kind, Reference, Tag


class ScorerSpec(Content, frozen=True):
    """One scorer of a suite. Its metric is called `name`, or `use`; `when` limits it to items with one of these tags."""

    use: str
    name: str | None = None
    args: dict[str, Any] = {}
    weight: float = 1.0
    when: list[str] = []

    @property
    def metric(self) -> str:
        return self.name or self.use


class Suite(Content, frozen=True):
    """`split` limits it to that part of the dataset."""

    dataset: str
    scorers: Annotated[list[ScorerSpec], msgspec.Meta(min_length=1)]
    description: str = ""
    endpoints: list[str] = []
    repeats: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    policy: str | None = None
    tags: list[Tag] = []
    split: str = ""


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
    from evaluators.own.loading import is_own, parse
    from evaluators.registry import build, get

    seen: set[str] = set()
    for i, scorer in enumerate(suite.scorers):
        if scorer.metric in seen:
            yield FieldError(
                f"/scorers/{i}/name", f"two scorers are called {scorer.metric!r}; give one of them a `name`"
            )
        seen.add(scorer.metric)
        try:
            if is_own(scorer.use):
                parse(scorer.use)
                continue  # loaded when a run is made, where that is allowed
            if issubclass(get(scorer.use), JudgeScorer) and isinstance(scorer.args.get("rubric"), str):
                continue  # built when a run has the rubric
            build(scorer.use, scorer.args)
        except ScorerConfigError as error:
            yield FieldError(f"/scorers/{i}{error.pointer}", str(error))
    for i, endpoint in enumerate(suite.endpoints):
        if endpoint in suite.endpoints[:i]:
            yield FieldError(f"/endpoints/{i}", f"{endpoint!r} is there already")


KIND = Kind("suite", "suites", ".suite.yaml", Suite, ("dataset", "scorers", "split"), references, problems)
