"""Suites: which dataset, which endpoints, which scorers, and the policy that judges."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from app.kit.errors import FieldError
from app.registry.derived import DerivedError, DerivedSpec, Range, Repeats, range_of, reduction_problem
from app.registry.kinds.base import Content, Kind, Reference, Tag
from app.registry.kinds.rubric import Rubric
from evaluators.metrics.reducers import Reducer

if TYPE_CHECKING:
    from evaluators.contract import Scorer
    from evaluators.judging import JudgeScorer


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
    """`split` limits it to that part of the dataset; `derived` are metrics made of the scorers' and of those before.

    `batch`: its runs may wait, up to a day, so that endpoints with a Batch API answer for less.
    """

    dataset: str
    scorers: Annotated[list[ScorerSpec], msgspec.Meta(min_length=1)]
    description: str = ""
    endpoints: list[str] = []
    repeats: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    policy: str | None = None
    tags: list[Tag] = []
    split: str = ""
    derived: list[DerivedSpec] = []
    batch: bool = False


ASKING = ("rubric", "endpoint", "endpoints", "embeddings", "self_judge")
"""Arguments of scorers that ask a model which say whom: they are for the service, and no scorer sees them.

`rubric` is a rubric's reference, `endpoint` and `endpoints` are the judges' (in place of the rubric's own), `embeddings` the
endpoint's that makes vectors. `self_judge: true` lets a model be judged by itself.
"""


def arguments(scorer: "type[JudgeScorer]", args: Mapping[str, Any], rubric: Rubric | None) -> dict[str, Any]:
    """A judge's own arguments: what its rubric says, where the scorer has such a field, and what the suite adds to that."""
    known = {field.encode_name for field in msgspec.structs.fields(scorer)}
    given: dict[str, Any] = {}
    if rubric is not None:
        given = {"instructions": rubric.instructions}
        if rubric.votes > 1:  # one is what a rubric that says nothing has, and scorers have defaults of their own
            given["votes"] = rubric.votes
        if rubric.labels is not None:
            given["labels"] = rubric.labels
        if rubric.scale is not None:
            given["scale"] = msgspec.to_builtins(rubric.scale)
        if rubric.examples:
            given["examples"] = rubric.examples
    own = {name: value for name, value in args.items() if name not in ASKING}
    return {name: value for name, value in given.items() if name in known} | own


def references(suite: Suite) -> Iterable[Reference]:
    yield Reference("/dataset", "dataset", suite.dataset)
    for i, endpoint in enumerate(suite.endpoints):
        yield Reference(f"/endpoints/{i}", "endpoint", endpoint)
    if suite.policy is not None:
        yield Reference("/policy", "gate_policy", suite.policy)
    for i, scorer in enumerate(suite.scorers):
        for name, kind in (("rubric", "rubric"), ("endpoint", "endpoint"), ("embeddings", "endpoint")):
            if isinstance(named := scorer.args.get(name), str):
                yield Reference(f"/scorers/{i}/args/{name}", kind, named)
        jury = scorer.args.get("endpoints")
        for n, named in enumerate(jury if isinstance(jury, list) else []):
            if isinstance(named, str):
                yield Reference(f"/scorers/{i}/args/endpoints/{n}", "endpoint", named)


def problems(suite: Suite) -> Iterable[FieldError]:
    seen: set[str] = set()
    ranges: dict[str, Range] = {}
    for i, spec in enumerate(suite.scorers):
        at = f"/scorers/{i}"
        if spec.metric in seen:
            yield FieldError(f"{at}/name", f"two scorers are called {spec.metric!r}; give one of them a `name`")
        seen.add(spec.metric)
        wrong, built = _alone(spec, at)
        yield from wrong
        ranges[spec.metric], says_passed = Range("maximize", 0.0, 1.0), None
        if built is not None:
            read = built.value_range
            ranges[spec.metric] = Range(read.direction, read.low, read.high)
            says_passed = built.verdict(read.low) is not None
        if (problem := reduction_problem(spec.reduce, spec.k, says_passed, at)) is not None:
            yield problem
    yield from _derived_problems(suite.derived, ranges)
    for i, endpoint in enumerate(suite.endpoints):
        if endpoint in suite.endpoints[:i]:
            yield FieldError(f"/endpoints/{i}", f"{endpoint!r} is there already")


def _alone(spec: ScorerSpec, at: str) -> "tuple[list[FieldError], Scorer | None]":
    """What is wrong with a scorer's entry, and the scorer; none where only a run can build it."""
    from evaluators.contract import ScorerConfigError
    from evaluators.judging import JudgeScorer
    from evaluators.own.loading import is_own, parse
    from evaluators.registry import build, get

    try:
        if is_own(spec.use):
            parse(spec.use)  # loaded when a run is made, where that is allowed
            return [], None
        scorer = get(spec.use)
        if not issubclass(scorer, JudgeScorer):
            return [], build(spec.use, spec.args)
        wrong = [FieldError(f"{at}/args{problem.pointer}", problem.detail) for problem in _unfit(scorer, spec.args)]
        if wrong or "rubric" in spec.args:  # with a rubric it is built together with that
            return wrong, None
        built = build(spec.use, arguments(scorer, spec.args, None))
        return list(_unnamed(built, spec, at)), built
    except ScorerConfigError as error:
        return [FieldError(at + error.pointer, str(error))], None


def disagreements(suite: Suite, pinned: Mapping[str, Any]) -> Iterable[FieldError]:
    """Scorers that cannot be built with what their rubric says."""
    from evaluators.contract import ScorerConfigError
    from evaluators.judging import JudgeScorer
    from evaluators.own.loading import is_own
    from evaluators.registry import build, get

    for i, spec in enumerate(suite.scorers):
        rubric = pinned.get(f"/scorers/{i}/args/rubric")
        scorer = get(spec.use) if rubric is not None and not is_own(spec.use) else None
        if scorer is not None and issubclass(scorer, JudgeScorer):
            try:
                yield from _unnamed(build(spec.use, arguments(scorer, spec.args, rubric)), spec, f"/scorers/{i}")
            except ScorerConfigError as error:
                yield FieldError(f"/scorers/{i}{error.pointer}", str(error))


def _unfit(scorer: "type[JudgeScorer]", args: Mapping[str, Any]) -> Iterable[FieldError]:
    """What is wrong with the arguments that say whom to ask."""
    for name in ("rubric", "endpoint", "embeddings"):
        if name in args and not isinstance(args[name], str):
            yield FieldError(f"/{name}", f"`{name}` is a reference, such as name or name@2")
    jury = args.get("endpoints")
    if jury is not None and not (isinstance(jury, list) and jury and all(isinstance(each, str) for each in jury)):
        yield FieldError("/endpoints", "`endpoints` is a list of references to endpoints, one per juror")
    elif jury is not None and len(set(jury)) < len(jury):
        yield FieldError("/endpoints", "an endpoint is there twice; it would only repeat itself")
    elif jury is not None and scorer.asks_all != (len(jury) > 1):
        fix = "a jury needs two or more" if scorer.asks_all else f"{scorer.name} asks one judge: give `endpoint`"
        yield FieldError("/endpoints", f"{len(jury)} endpoints: {fix}")
    if jury is None and scorer.asks_all and "judge" in scorer.needs:
        yield FieldError("/endpoints", f"{scorer.name} asks several judges: give `endpoints`, two or more")
    if jury is not None and "endpoint" in args:
        yield FieldError("/endpoints", "give either `endpoint` or `endpoints`")
    if not isinstance(args.get("self_judge", False), bool):
        yield FieldError("/self_judge", "`self_judge` is true or false")
    for need, named in (("judge", ("rubric", "endpoint", "endpoints")), ("embeddings", ("embeddings",))):
        for name in named:
            if name in args and need not in scorer.needs:
                what = "judge" if need == "judge" else "embeddings"
                yield FieldError(f"/{name}", f"{scorer.name} asks for no {what}: leave `{name}` out")


def _unnamed(built: "Scorer", spec: ScorerSpec, at: str) -> Iterable[FieldError]:
    """What a scorer will ask, and nobody was named for."""
    asked = {"rubric", "endpoint", "endpoints"} & spec.args.keys()
    if "judge" in built.reads and not asked:
        yield FieldError(f"{at}/args", f"{spec.use}: this scorer asks a model: give `rubric` or `endpoint`")
    if "embeddings" in built.reads and "embeddings" not in spec.args:
        detail = f"{spec.use}: this scorer compares vectors: give `embeddings`, an endpoint that makes them"
        yield FieldError(f"{at}/args", detail)


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


KIND = Kind(
    "suite",
    "suites",
    ".suite.yaml",
    Suite,
    ("dataset", "scorers", "split", "derived"),
    references,
    problems,
    disagreements,
)
