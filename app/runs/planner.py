"""From what was asked to a run: everything resolved, every mistake found, before anything is stored or called."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.schemas import Item
from app.datasets.service import Datasets
from app.generation.batching import discounted, unfit
from app.generation.bundles import resolve_bundle
from app.generation.schemas import Bundle, CandidateSpec, CaseInput
from app.generation.service import answer_key, check_case
from app.kit.db import batched_by_variables
from app.kit.errors import BudgetError, FieldError, InvalidContentError, NotFoundError
from app.registry.kinds.suite import Suite
from app.registry.service import Artifact, Registry
from app.runs import derived
from app.runs.asking import Judging, Tested, flagged, judging_of, self_judged
from app.runs.budget import most_nano
from app.runs.schemas import NANO, RunCreate
from app.runs.scoring import metric_of
from app.runs.spec import Case, Metric, Spec, Variant, sample
from app.runs.tables import AnswerRow
from evaluators.own.loading import OwnScorers, is_own

MAX_CELLS = 2_000_000
MAX_PROBLEMS = 20


class Planned(NamedTuple):
    """A run ready to be stored. `keys[variant][case][repeat]` is the cell's key; `known` are those with an answer."""

    spec: Spec
    cases: list[Case]
    keys: list[list[list[str]]]
    known: set[str]
    estimated_nano: int | None


class Candidate(NamedTuple):
    id: str
    spec: CandidateSpec
    pointer: str


class Planner:
    """Plans runs of one project, within the caller's transaction."""

    def __init__(self, session: AsyncSession, project_id: str, actor: str, own: OwnScorers) -> None:
        self._session, self._project_id, self._own = session, project_id, own
        self._registry = Registry(session, project_id, actor=actor)
        self._datasets = Datasets(session, project_id, actor=actor)

    async def plan(self, asked: RunCreate, run_id: str, epochs: Mapping[str, str] | None = None) -> Planned:
        """`epochs` by candidate id replace the epoch that `fresh` gives. Raises `InvalidContentError` with the pointer of every part that cannot be run, `BudgetError` when the budget
        does not allow one call."""
        suite = await self.suite(asked.suite)
        content: Suite = suite.content
        dataset = await self._registry.by_digest("dataset", suite.pins["/dataset"])
        entries = [e for e in await self._datasets.entries(dataset) if content.split in ("", e.split)]
        if not entries:
            names = ", ".join(sorted({e.split for e in await self._datasets.entries(dataset)} - {""})) or "none"
            raise InvalidContentError.at("/suite", f"{content.dataset} has no split {content.split!r}; it has {names}")
        chosen = [entries[i] for i in sample([entry.id for entry in entries], asked.max_cases)]
        items = [item for item in await self._datasets.some(chosen) if not item.erased]
        if not items:
            raise InvalidContentError.at("/suite", f"all items of {content.dataset} were erased")
        judging = await judging_of(self._registry, suite)
        repeats = asked.repeats or content.repeats
        metrics = await self._metrics(suite, judging, repeats)
        epoch = run_id if asked.fresh else ""
        bundles, variants = await self._variants(asked, suite, defaultdict(lambda: epoch, epochs or {}))
        tested = [Tested(v.id, b.endpoint) for v, b in zip(variants, bundles, strict=True)]
        warned = self_judged(suite, judging, tested)
        by_batch = content.batch if asked.batch is None else asked.batch
        variants, slow = batched(variants, bundles, metrics) if by_batch else (variants, [])
        cells = len(variants) * len(items) * repeats
        if cells > MAX_CELLS:
            raise InvalidContentError(
                f"{cells:,} cells; a run has at most {MAX_CELLS:,}: use max_cases or fewer repeats"
            )
        cases = [CaseInput(item.inputs, item.history, item.recorded or None) for item in items]
        self._check_cases(bundles, variants, items, cases)
        measured = any(metric.measured for metric in metrics)
        keys = [
            [
                [
                    answer_key(bundle, case, repeat, variant.epoch, self._project_id, measured=measured)
                    for repeat in range(repeats)
                ]
                for case in cases
            ]
            for bundle, variant in zip(bundles, variants, strict=True)
        ]
        known = await self._known([key for variant in keys for case in variant for key in case])
        # Derived metrics stand behind the scorers, and ask nobody.
        asking = [(m, j) for m, j in zip(metrics, judging, strict=False) if j is not None]
        estimated = self._estimate(asked, at_their_price(bundles, variants), cases, keys, known, asking)
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
            warnings=[*warned.values(), *slow, *_erased(len(chosen) - len(items))],
        )
        stored = [Case(item.id, item.digest, item.tags, item.cluster) for item in items]
        return Planned(spec, stored, keys, known, estimated)

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
        self, asked: RunCreate, suite: Artifact, epochs: Mapping[str, str]
    ) -> tuple[list[Bundle], list[Variant]]:
        candidates = [Candidate(f"c{i + 1}", spec, f"/candidates/{i}") for i, spec in enumerate(asked.candidates)]
        if asked.baseline is not None:
            candidates.insert(0, Candidate("baseline", asked.baseline, "/baseline"))
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
                    f"{candidate.pointer}/endpoint", "name an endpoint here, or endpoints in the suite"
                )
            for endpoint in endpoints:
                bundle = await resolve_bundle(self._registry, candidate.spec, endpoint, pointer=candidate.pointer)
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

    def _check_cases(
        self, bundles: Sequence[Bundle], variants: Sequence[Variant], items: Sequence[Item], cases: Sequence[CaseInput]
    ) -> None:
        problems: list[FieldError] = []
        seen: set[tuple[str, bool]] = set()
        for bundle, variant in zip(bundles, variants, strict=True):
            alike = (bundle.prompt_digest, bundle.rag is not None)
            if alike in seen or len(problems) >= MAX_PROBLEMS:
                continue
            seen.add(alike)
            where = "/baseline" if variant.candidate == "baseline" else f"/candidates/{int(variant.candidate[1:]) - 1}"
            for item, case in zip(items, cases, strict=True):
                try:
                    check_case(bundle, case)
                except InvalidContentError as error:
                    detail = f"case {item.id!r} with {variant.prompt}: {error.detail}"
                    problems.append(FieldError(f"{where}/prompt", detail))
                    if len(problems) >= MAX_PROBLEMS:
                        break
        if problems:
            raise InvalidContentError("; ".join(p.detail for p in problems[:3]), problems)

    async def _known(self, keys: Sequence[str]) -> set[str]:
        known: set[str] = set()
        for some in batched_by_variables(dict.fromkeys(keys), 2):
            query = select(col(AnswerRow.cell_key)).where(
                col(AnswerRow.project_id) == self._project_id, col(AnswerRow.cell_key).in_(some)
            )
            known |= {*await self._session.scalars(query)}
        return known

    def _estimate(
        self,
        asked: RunCreate,
        bundles: Sequence[Bundle],
        cases: Sequence[CaseInput],
        keys: list[list[list[str]]],
        known: set[str],
        judging: Sequence[tuple[Metric, Judging]],
    ) -> int | None:
        """What the calls for answers that are not known, and for judging them, may cost at most, in nano-dollars; None when
        an endpoint has no price."""
        total, least = 0, None
        counted: set[str] = set()
        priced = True
        for bundle, variant_keys in zip(bundles, keys, strict=True):
            calls = bundle.endpoint.provider != "replay"
            if calls and bundle.endpoint.price is None:
                priced = self._unpriced(asked, bundle.spec.name)
                continue
            for case, case_keys in zip(cases, variant_keys, strict=True):
                open_ = {key for key in case_keys if key not in known} - counted
                if open_:
                    counted |= open_
                    amount = reservation(bundle, case)
                    total += len(open_) * amount
                    if calls:
                        least = amount if least is None else min(least, amount)
        for metric, judge in judging:
            for name, most in judge.most_nano(metric.args):
                if most is None:
                    priced = self._unpriced(asked, name)
                else:
                    total += len(counted) * most
        if asked.budget_usd is not None and least is not None and least > asked.budget_usd * NANO:
            raise BudgetError.at(
                "/budget_usd",
                f"one call may cost ${least / NANO:.6f}; a budget of ${asked.budget_usd:g} does not allow it",
            )
        return total if priced else None

    def _unpriced(self, asked: RunCreate, endpoint: str) -> bool:
        if asked.budget_usd is not None:
            raise InvalidContentError.at(
                "/budget_usd", f"the endpoint {endpoint!r} has no price, so that a budget cannot bound it"
            )
        return False


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
    params = {**bundle.endpoint.params, **bundle.prompt.params, **bundle.params}
    rounds = bundle.tools.max_rounds if bundle.tools is not None else 1
    return rounds * most_nano(size, params, price.input, price.output)


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
