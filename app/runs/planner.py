"""From what was asked to a run: everything resolved, every mistake found, before anything is stored or called."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from app.datasets.schemas import Entry, Item
from app.datasets.sensitivity import above, highest
from app.datasets.service import Datasets
from app.generation.batching import discounted, unfit
from app.generation.bundles import resolve_bundle
from app.generation.schemas import Bundle, CandidateSpec, CaseInput
from app.kit.errors import ForbiddenError, InvalidContentError, NotFoundError
from app.registry.kinds.dataset import LEVELS
from app.registry.kinds.suite import Suite
from app.registry.service import Artifact, Registry
from app.runs import derived
from app.runs.asked import RunPlan
from app.runs.asking import Judging, Tested, flagged, judging_of, self_judged
from app.runs.cells import asking_of, check_cases, check_size, keys_of, known_keys, off_loop
from app.runs.estimates import Grid, Keys, at_most, expected, open_cells, reservation
from app.runs.matrix import Candidate, candidates_of, pinned
from app.runs.sampling import chosen
from app.runs.schemas import RunCreate
from app.runs.scoring import LiveMetric, metric_of, rebuilt
from app.runs.spec import Case, Metric, Spec, Variant
from app.runs.store import Loaded
from app.runs.usage import usual
from evaluators.own.loading import OwnScorers, is_own

__all__ = ["Planned", "Planner", "reservation", "stored_bundle"]


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
        by_batch = content.batch if asked.batch is None else asked.batch
        variants, slow = batched(variants, bundles, metrics) if by_batch else (variants, [])
        check_size(len(variants) * len(items) * repeats)
        cases = [CaseInput(item.inputs, item.history, item.recorded or None) for item in items]
        places = {candidate.id: candidate.at("prompt") for candidate in candidates}
        await off_loop(len(cases) * len(variants), check_cases, bundles, variants, items, cases, places)
        measured = any(metric.measured for metric in metrics)
        keys: Keys = await off_loop(
            len(variants) * len(items) * repeats,
            keys_of, bundles, variants, cases, range(repeats), self._project_id, measured=measured,
        )  # fmt: skip
        known = await known_keys(self._session, self._project_id, keys)
        open_ = open_cells(keys, known)
        live = await self._live(metrics, judging)
        asking = await asking_of(self._session, self._project_id, live, items, keys, known, open_)
        estimated = at_most(asked.budget_usd, at_their_price(bundles, variants), cases, open_, asking)
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
            warnings=[*warned.values(), *slow, *_erased(len(found) - len(items))],
            asked=pinned(asked, suite.ref, variants, repeats),
        )
        stored = [Case(item.id, item.digest, item.tags, item.cluster) for item in items]
        grid = Grid(at_their_price(bundles, variants), variants, cases, repeats, open_, asking)
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

    async def _live(
        self, metrics: Sequence[Metric], judging: Sequence[Judging | None]
    ) -> list[tuple[LiveMetric, Judging]]:
        """The scorers that ask models. Derived metrics stand behind the scorers, and ask nobody."""
        return [
            (LiveMetric(metric, await asyncio.to_thread(rebuilt, metric, judge.rubric, self._own)), judge)
            for metric, judge in zip(metrics, judging, strict=False)
            if judge is not None
        ]

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


def batched(
    variants: Sequence[Variant], bundles: Sequence[Bundle], metrics: Sequence[Metric]
) -> tuple[list[Variant], list[str]]:
    """The variants with a word on which are asked by batch, and warnings about those that cannot be."""
    timed = next((m.name for m in metrics if m.measured or m.use == "latency"), None)
    found, warnings = [], []
    for variant, bundle in zip(variants, bundles, strict=True):
        why = unfit(bundle) if timed is None else f"{timed!r} measures time, which a batch's answers have none of"
        if why is not None and bundle.endpoint.provider != "replay":
            warnings.append(f"{variant.id} is called one by one, not by batch: {why}")
        found.append(msgspec.structs.replace(variant, batch=why is None))
    return found, warnings


def at_their_price(bundles: Sequence[Bundle], variants: Sequence[Variant]) -> list[Bundle]:
    """The bundles, those that are asked by batch with the discount."""
    return [discounted(b) if v.batch else b for b, v in zip(bundles, variants, strict=True)]


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
