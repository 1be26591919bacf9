"""From what was asked to a run: everything resolved, every mistake found, before anything is stored or called."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.schemas import Entry, Item
from app.datasets.sensitivity import above, highest
from app.datasets.service import Datasets
from app.generation.bundles import resolve_bundle
from app.generation.schemas import Bundle, CandidateSpec, CaseInput
from app.generation.service import answer_key, check_case
from app.kit.db import batched_by_variables
from app.kit.errors import FieldError, ForbiddenError, InvalidContentError, NotFoundError
from app.registry.kinds.dataset import LEVELS
from app.registry.kinds.suite import Suite
from app.registry.service import Artifact, Registry
from app.runs import derived
from app.runs.asked import RunPlan
from app.runs.asking import Judging, Tested, flagged, judging_of, self_judged
from app.runs.estimates import Asking, Grid, Keys, at_most, expected, open_cells, reservation
from app.runs.matrix import Candidate, candidates_of, pinned
from app.runs.sampling import chosen
from app.runs.schemas import RunCreate
from app.runs.scoring import LiveMetric, metric_of, rebuilt
from app.runs.spec import Case, Metric, Spec, Variant
from app.runs.store import Loaded
from app.runs.tables import AnswerRow, ScoreRow
from app.runs.usage import usual
from evaluators.own.loading import OwnScorers, is_own

__all__ = ["Planned", "Planner", "check_cases", "check_size", "keys_of", "reservation", "stored_bundle"]

P = ParamSpec("P")
T = TypeVar("T")

MAX_CELLS = 2_000_000
MAX_PROBLEMS = 20


IN_THREAD = 2_000
"""Cells from which their keys are made off the event loop."""


class Planned(NamedTuple):
    """A run ready to be stored. `keys[variant][case][repeat]` is the cell's key; `known` are those with an answer."""

    spec: Spec
    cases: list[Case]
    keys: Keys
    known: set[str]
    estimated_nano: int | None
    grid: Grid

    @property
    def cached(self) -> int:
        """How many cells have an answer."""
        return sum(key in self.known for variant in self.keys for case in variant for key in case)


class Planner:
    """Plans runs of one project, within the caller's transaction."""

    def __init__(
        self, session: AsyncSession, project_id: str, actor: str, own: OwnScorers, clearance: str = LEVELS[-1]
    ) -> None:
        """`clearance` is what whoever asks may see of the items."""
        self._session, self._project_id, self._own = session, project_id, own
        self._clearance = clearance
        self._registry = Registry(session, project_id, actor=actor)
        self._datasets = Datasets(session, project_id, actor=actor)

    async def plan(self, asked: RunCreate, run_id: str, epochs: Mapping[str, str] | None = None) -> Planned:
        """`epochs` by candidate id replace the epoch that `fresh` gives. Raises `InvalidContentError` with the pointer of every part that cannot be run, `BudgetError` when the budget
        does not allow one call."""
        suite = await self.suite(asked.suite)
        await self._require_in_use(suite, asked.suite)
        content: Suite = suite.content
        dataset = await self._registry.by_digest("dataset", suite.pins["/dataset"])
        found = await self.chosen(suite, dataset, asked)
        items = [item for item in await self._datasets.some(found) if not item.erased]
        if not items:
            raise InvalidContentError.at("/suite", f"all items of {content.dataset} were erased")
        judging = await judging_of(self._registry, suite)
        repeats = asked.repeats or content.repeats
        metrics = await self._metrics(suite, judging, repeats)
        epoch = run_id if asked.fresh else ""
        candidates = candidates_of(asked)
        bundles, variants = await self._variants(candidates, suite, defaultdict(lambda: epoch, epochs or {}))
        tested = [Tested(v.id, b.endpoint) for v, b in zip(variants, bundles, strict=True)]
        warned = self_judged(suite, judging, tested)
        check_size(len(variants) * len(items) * repeats)
        cases = [CaseInput(item.inputs, item.history, item.recorded or None) for item in items]
        places = {candidate.id: candidate.at("prompt") for candidate in candidates}
        await _off_loop(len(cases) * len(variants), check_cases, bundles, variants, items, cases, places)
        measured = any(metric.measured for metric in metrics)
        keys: Keys = await _off_loop(
            len(variants) * len(items) * repeats,
            keys_of, bundles, variants, cases, range(repeats), self._project_id, measured=measured,
        )  # fmt: skip
        known = await self.known(keys)
        open_ = open_cells(keys, known)
        asking = await self._asking(metrics, judging, items, keys, known, open_)
        estimated = at_most(asked.budget_usd, bundles, cases, open_, asking)
        spec = Spec(
            suite=suite.ref,
            suite_digest=suite.digest,
            dataset=content.dataset,
            dataset_digest=dataset.digest,
            repeats=repeats,
            variants=variants,
            metrics=flagged(metrics, warned),
            cases=len(items),
            max_cases=asked.max_cases,
            fresh=asked.fresh,
            warnings=[*warned.values(), *_erased(len(found) - len(items))],
            asked=pinned(asked, suite.ref, variants, repeats),
        )
        stored = [Case(item.id, item.digest, item.tags, item.cluster) for item in items]
        grid = Grid(bundles, variants, cases, repeats, open_, asking)
        return Planned(spec, stored, keys, known, estimated, grid)

    async def chosen(self, suite: Artifact, dataset: Artifact, asked: RunCreate) -> list[Entry]:
        """The items that a run is about: those of the suite's split, filtered and sampled as asked. Raises
        `InvalidContentError` when there are none, `ForbiddenError` for a search in what the caller may not see."""
        content: Suite = suite.content
        level = highest(dataset.content)
        if asked.only is not None and asked.only.text is not None and above(level, self._clearance):
            raise ForbiddenError.at(
                "/only/text",
                f"{content.dataset} holds {level} values, and this key's clearance is {self._clearance}: "
                "they cannot be searched",
            )
        entries = await self._datasets.entries(dataset)
        found = [e for e in entries if content.split in ("", e.split)]
        if not found:
            names = ", ".join(sorted({e.split for e in entries} - {""})) or "none"
            raise InvalidContentError.at("/suite", f"{content.dataset} has no split {content.split!r}; it has {names}")
        return await chosen(self._datasets, found, asked)

    async def expected(self, planned: Planned) -> RunPlan:
        """What a planned run will likely take, by endpoint."""
        seen = await usual(self._session, self._project_id, planned.grid.variants)
        return await asyncio.to_thread(
            expected, planned.grid, seen, planned.estimated_nano, planned.cached, planned.spec.warnings
        )

    async def _require_in_use(self, suite: Artifact, given: Any) -> None:
        """A name that was archived starts no run. A digest names a content, which nobody archives."""
        if suite.name is None or not isinstance(given, str) or "sha256:" in given:
            return
        row = await self._registry.repository.artifact("suite", suite.name)
        if row is not None and row.archived_at is not None:
            raise InvalidContentError.at(
                "/suite",
                f"the suite {suite.name!r} is archived; `promptward restore suites {suite.name}` brings it back",
            )

    async def _asking(
        self,
        metrics: Sequence[Metric],
        judging: Sequence[Judging | None],
        items: Sequence[Item],
        keys: Keys,
        known: set[str],
        open_: Sequence[dict[int, int]],
    ) -> list[Asking]:
        """The scorers that ask models, and how many of their scores there are: of answers that are there, those that were
        given before; of the others none."""
        found: list[Asking] = []
        # Derived metrics stand behind the scorers, and ask nobody.
        for metric, judge in zip(metrics, judging, strict=False):
            if judge is None:
                continue
            applies = [metric.applies_to(item.tags) for item in items]
            fresh = sum(cells for counts in open_ for case_no, cells in counts.items() if applies[case_no])
            scorer = await asyncio.to_thread(rebuilt, metric, judge.rubric, self._own)
            live = LiveMetric(metric, scorer)
            scores: dict[str, None] = {}
            for variant_no, variant in enumerate(keys):
                for case_no, case in enumerate(variant):
                    if not applies[case_no]:
                        continue
                    for repeat, key in enumerate(case):
                        if key not in known:
                            continue
                        others = [k[case_no][repeat] for n, k in enumerate(keys) if n != variant_no]
                        scores[live.key(key, items[case_no], others if live.compares else ())] = None
            given = await self._scores(scores)
            found.append(Asking(metric, judge, given, len(scores) - given + fresh))
        return found

    async def _scores(self, keys: Iterable[str]) -> int:
        """How many of these scores are stored."""
        total = 0
        for some in batched_by_variables(keys, 2):
            query = select(func.count()).where(
                col(ScoreRow.project_id) == self._project_id, col(ScoreRow.key).in_(some)
            )
            total += await self._session.scalar(query) or 0
        return total

    async def more(self, run: Loaded, asked: RunCreate, max_cases: int | None) -> list[Item]:
        """The items that a run of so many cases has beside those of this run."""
        if max_cases is None:
            return []
        if max_cases < len(run.cases):
            raise InvalidContentError.at(
                "/max_cases", f"the run has {len(run.cases)} cases already; cells are never taken out"
            )
        suite = await self.suite(asked.suite)
        dataset = await self._registry.by_digest("dataset", run.spec.dataset_digest)
        found = await self.chosen(suite, dataset, msgspec.structs.replace(asked, max_cases=max_cases))
        have = {case.id for case in run.cases}
        items = await self._datasets.some([entry for entry in found if entry.id not in have])
        return [item for item in items if not item.erased]

    async def items(self, cases: Sequence[Case]) -> list[Item]:
        """The items of a run's cases, in their order."""
        return await self._datasets.some([Entry(case.id, case.digest, case.tags) for case in cases])

    async def bundle(self, variant: Variant) -> Bundle:
        return await stored_bundle(self._registry, variant)

    async def suite(self, given: Any, pointer: str = "/suite") -> Artifact:
        """The suite of a reference or a `{content}`."""
        if not isinstance(given, str):
            return await self._registry.draft("suite", given.content, pointer=f"{pointer}/content")
        try:
            if given.startswith("sha256:"):
                return await self._registry.by_digest("suite", given)
            return await self._registry.resolve("suite", given)
        except NotFoundError as error:
            raise InvalidContentError.at(pointer, error.detail) from error

    async def metrics(
        self, suite: Artifact, variants: Sequence[Variant], repeats: int
    ) -> tuple[list[Metric], list[str]]:
        """The suite's metrics for so many repeats of these variants' answers, with rubrics and endpoints as pinned; and
        warnings."""
        judging = await judging_of(self._registry, suite)
        tested = [
            Tested(v.id, (await self._registry.by_digest("endpoint", v.endpoint_digest)).content) for v in variants
        ]
        warned = self_judged(suite, judging, tested)
        return flagged(await self._metrics(suite, judging, repeats), warned), list(warned.values())

    async def _metrics(self, suite: Artifact, judging: Sequence[Judging | None], repeats: int) -> list[Metric]:
        scorers = enumerate(zip(suite.content.scorers, judging, strict=True))
        # Off the event loop: loading a file of the project takes as long as that file likes.
        metrics = [
            await asyncio.to_thread(metric_of, scorer, judge, f"/scorers/{i}", self._own)
            if is_own(scorer.use)
            else metric_of(scorer, judge, f"/scorers/{i}", self._own)
            for i, (scorer, judge) in scorers
        ]
        metrics += derived.metrics_of(suite.content.derived, metrics)
        derived.check_repeats(metrics, repeats)
        return metrics

    async def _variants(
        self, candidates: Sequence[Candidate], suite: Artifact, epochs: Mapping[str, str]
    ) -> tuple[list[Bundle], list[Variant]]:
        bundles: list[Bundle] = []
        variants: list[Variant] = []
        for candidate in candidates:
            endpoints: list[str | None] = [None]
            if candidate.spec.endpoint is None:
                endpoints = [
                    f"{written.partition('@')[0]}@{suite.pins[f'/endpoints/{i}']}"
                    for i, written in enumerate(suite.content.endpoints)
                ]
            if not endpoints:
                raise InvalidContentError.at(
                    candidate.at("endpoint"), "name an endpoint here, or endpoints in the suite"
                )
            for endpoint in endpoints:
                try:
                    bundle = await resolve_bundle(self._registry, candidate.spec, endpoint, pointer=candidate.pointer)
                except InvalidContentError as error:
                    raise candidate.placed(error) from error
                label = bundle.spec.name
                if any(v.candidate == candidate.id and v.endpoint_name == label for v in variants):
                    raise InvalidContentError.at(candidate.pointer, f"the endpoint {label!r} comes twice")
                bundles.append(bundle)
                variants.append(
                    Variant(
                        id=f"{candidate.id}:{label}",
                        candidate=candidate.id,
                        prompt=bundle.refs.prompt,
                        endpoint=bundle.refs.endpoint,
                        endpoint_name=label,
                        prompt_digest=bundle.prompt_digest,
                        endpoint_digest=bundle.endpoint_digest,
                        bundle=bundle.digest,
                        deciding=bundle.deciding,
                        rag_config=bundle.refs.rag_config,
                        tool_config=bundle.refs.tool_config,
                        rag_digest=bundle.rag_digest,
                        tools_digest=bundle.tools_digest,
                        params=bundle.params,
                        epoch=epochs[candidate.id],
                    )
                )
        return bundles, variants

    async def known(self, keys: Keys) -> set[str]:
        """Which of these cells have an answer."""
        known: set[str] = set()
        for some in batched_by_variables(dict.fromkeys(key for v in keys for case in v for key in case), 2):
            query = select(col(AnswerRow.cell_key)).where(
                col(AnswerRow.project_id) == self._project_id, col(AnswerRow.cell_key).in_(some)
            )
            known |= {*await self._session.scalars(query)}
        return known


def check_size(cells: int) -> None:
    if cells > MAX_CELLS:
        raise InvalidContentError(f"{cells:,} cells; a run has at most {MAX_CELLS:,}: use max_cases or fewer repeats")


def check_cases(
    bundles: Sequence[Bundle],
    variants: Sequence[Variant],
    items: Sequence[Item],
    cases: Sequence[CaseInput],
    places: Mapping[str, str],
) -> None:
    """Raises `InvalidContentError` for cases that do not fit a prompt; `places` are the pointers by candidate."""
    problems: list[FieldError] = []
    seen: set[tuple[str, bool]] = set()
    for bundle, variant in zip(bundles, variants, strict=True):
        alike = (bundle.prompt_digest, bundle.rag is not None)
        if alike in seen or len(problems) >= MAX_PROBLEMS:
            continue
        seen.add(alike)
        for item, case in zip(items, cases, strict=True):
            try:
                check_case(bundle, case)
            except InvalidContentError as error:
                detail = f"case {item.id!r} with {variant.prompt}: {error.detail}"
                problems.append(FieldError(places[variant.candidate], detail))
                if len(problems) >= MAX_PROBLEMS:
                    break
    if problems:
        raise InvalidContentError("; ".join(p.detail for p in problems[:3]), problems)


def keys_of(
    bundles: Sequence[Bundle],
    variants: Sequence[Variant],
    cases: Sequence[CaseInput],
    repeats: Iterable[int],
    project_id: str,
    *,
    measured: bool,
) -> Keys:
    """The cells' keys, `[variant][case][repeat]`."""
    numbers = list(repeats)
    return [
        [
            [answer_key(bundle, case, repeat, variant.epoch, project_id, measured=measured) for repeat in numbers]
            for case in cases
        ]
        for bundle, variant in zip(bundles, variants, strict=True)
    ]


async def _off_loop(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Work on so many cells: in a thread when they are many."""
    return await asyncio.to_thread(work, *args, **kwargs) if size >= IN_THREAD else work(*args, **kwargs)


def _erased(count: int) -> list[str]:
    return [f"{count} of the dataset's items were erased and are left out"] if count else []


async def stored_bundle(registry: Registry, variant: Variant) -> Bundle:
    """The bundle of a stored run's variant: by digests alone, so that nothing can have moved."""
    spec = CandidateSpec(
        prompt=variant.prompt_digest,
        rag_config=variant.rag_digest,
        tool_config=variant.tools_digest,
        endpoint=variant.endpoint_digest,
        params=variant.params,
    )
    bundle = await resolve_bundle(registry, spec, keep=False)
    return msgspec.structs.replace(bundle, spec=msgspec.structs.replace(bundle.spec, name=variant.endpoint_name))
