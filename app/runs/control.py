"""What is asked of a run that is there: more cases or repeats, or another run like it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.datasets.schemas import Item
from app.generation.schemas import Bundle, CaseInput
from app.kit.db import core, insert_rows
from app.kit.errors import ConflictError, DomainError, FieldError, InvalidContentError
from app.registry.kinds.base import invalid
from app.runs import derived, store
from app.runs.asked import RunClone, RunExtend
from app.runs.cells import check_cases, check_size, keys_of
from app.runs.estimates import unpriced
from app.runs.planner import Planner
from app.runs.schemas import NANO, RunCreate
from app.runs.spec import Case, encode_cases
from app.runs.store import PENDING, Loaded
from app.runs.tables import RunCasesRow, RunCellRow, RunVariantRow

AT_ONCE = 10_000


def asked_of(run: Loaded) -> RunCreate:
    """What the run was asked for. Raises `ConflictError` for a run of a release that did not keep it."""
    if run.spec.asked is None:
        raise ConflictError(
            f"run {run.row.id} was made before requests were kept, so that it cannot be asked for again; make a new run"
        )
    return msgspec.convert(run.spec.asked, RunCreate)


def changed(run: Loaded, clone: RunClone) -> RunCreate:
    """The run's request with the changes. Raises `InvalidContentError` with the pointers of what does not fit."""
    asked = dict(msgspec.to_builtins(asked_of(run)))
    if "matrix" in clone.changes and "candidates" not in clone.changes:
        del asked["candidates"]
    if unknown := [name for name in clone.changes if name not in RunCreate.__struct_fields__]:
        raise InvalidContentError.at(
            f"/changes/{unknown[0]}", f"a run has no such field; it has {', '.join(RunCreate.__struct_fields__)}"
        )
    try:
        return msgspec.convert(asked | clone.changes, RunCreate)
    except msgspec.ValidationError as error:
        raise invalid(error, "/changes") from error


@contextmanager
def in_changes(clone: RunClone) -> Iterator[None]:
    """Errors about what was changed point at the changes."""
    try:
        yield
    except DomainError as error:
        error.errors = [
            FieldError(f"/changes{e.pointer}", e.detail) if e.pointer[1:].partition("/")[0] in clone.changes else e
            for e in error.errors
        ]
        raise


def require_prices(bundles: Iterable[Bundle], budget_usd: float | None) -> None:
    """Raises `InvalidContentError` for the first endpoint that a budget cannot bound."""
    for bundle in bundles:
        if bundle.endpoint.provider != "replay" and bundle.endpoint.price is None:
            unpriced(budget_usd, bundle.spec.name)


async def extend(session: AsyncSession, planner: Planner, run: Loaded, asked: RunExtend) -> dict[str, Any]:
    """Adds pending cells to a run at rest, in the caller's transaction; returns what was added.

    New cases stand behind those that are there. Raises `InvalidContentError` when there is nothing to add, `ConflictError`
    for a run of a release that did not keep its request.
    """
    spec, before = run.spec, asked_of(run)
    repeats = asked.repeats or spec.repeats
    if repeats < spec.repeats:
        raise InvalidContentError.at(
            "/repeats", f"the run has {spec.repeats} repeats already; cells are never taken out"
        )
    derived.check_repeats(spec.metrics, repeats)
    items = await planner.more(run, before, asked.max_cases)
    if not items and repeats == spec.repeats:
        raise InvalidContentError(
            f"nothing to add: the run has {len(run.cases)} cases and {spec.repeats} repeats; "
            "give a larger max_cases (of a dataset that has more) or more repeats"
        )
    variants, first = spec.variants, len(run.cases)
    check_size(len(variants) * (first + len(items)) * repeats)
    bundles = [await planner.bundle(variant) for variant in variants]
    require_prices(bundles, asked.budget_usd)
    check_cases(bundles, variants, items, _inputs(items), {v.candidate: "/max_cases" for v in variants})
    # A case whose item was erased since gets no further repeats: nothing is left to ask.
    old = await planner.items(run.cases) if repeats > spec.repeats else []
    there = [number for number, item in enumerate(old) if not item.erased]
    parts = (
        (there, [old[number] for number in there], range(spec.repeats, repeats)),
        (range(first, first + len(items)), items, range(repeats)),
    )
    measured = any(metric.measured for metric in spec.metrics)
    rows: list[dict[str, Any]] = []
    for places, some, numbers in parts:
        keys = keys_of(bundles, variants, _inputs(some), numbers, run.row.project_id, measured=measured)
        rows += [
            {
                "project_id": run.row.project_id, "run_id": run.row.id, "variant_no": v, "case_no": case_no, "repeat": repeat,
                "cell_key": key, "status": PENDING, "error_kind": None, "error": None,
            }
            for v, variant in enumerate(keys)
            for case_no, case in zip(places, variant, strict=True)
            for repeat, key in zip(numbers, case, strict=True)
        ]  # fmt: skip
    for start in range(0, len(rows), AT_ONCE):
        await insert_rows(session, RunCellRow, rows[start : start + AT_ONCE])
    await _keep(session, run, asked, items, repeats, len(rows) // len(variants))
    return {"cases": len(items), "repeats": repeats - spec.repeats, "cells": len(rows)}


def _inputs(items: Sequence[Item]) -> list[CaseInput]:
    return [CaseInput(item.inputs, item.history, item.recorded or None) for item in items]


async def _keep(
    session: AsyncSession, run: Loaded, asked: RunExtend, items: Sequence[Item], repeats: int, planned: int
) -> None:
    """The run's row, its cases and its counters."""
    row, spec = run.row, run.spec
    cases = [*run.cases, *(Case(item.id, item.digest, item.tags, item.cluster) for item in items)]
    max_cases = spec.max_cases if asked.max_cases is None else asked.max_cases
    again = {**(spec.asked or {}), "max_cases": max_cases, "repeats": repeats}
    if asked.budget_usd is not None:
        again["budget_usd"] = asked.budget_usd
        row.budget_nano = round(asked.budget_usd * NANO)
    larger = msgspec.structs.replace(spec, cases=len(cases), repeats=repeats, max_cases=max_cases, asked=again)
    row.spec = msgspec.to_builtins(larger)
    # What was cancelled stays so: the run is as little done as before.
    store.begin_anew(row, row.status if row.status in ("cancelled", "budget") else "done")
    kept = await session.get(RunCasesRow, (row.project_id, row.id))
    if kept is not None:
        kept.cases = encode_cases(cases)
    variants = core(RunVariantRow)
    await session.execute(
        update(variants)
        .where(variants.c.project_id == row.project_id, variants.c.run_id == row.id)
        .values(planned=variants.c.planned + planned)
    )
