"""The cells of a run that is planned: whether they can be run, their keys, and what is known of them."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ParamSpec, TypeVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.schemas import Item
from app.generation.schemas import Bundle, CaseInput
from app.generation.service import answer_key, check_case
from app.kit.db import batched_by_variables
from app.kit.errors import FieldError, InvalidContentError
from app.runs.asking import Judging
from app.runs.estimates import Asking, Keys
from app.runs.scoring import LiveMetric
from app.runs.spec import Variant
from app.runs.tables import AnswerRow, ScoreRow

P = ParamSpec("P")
T = TypeVar("T")

MAX_CELLS = 2_000_000
MAX_PROBLEMS = 20
IN_THREAD = 2_000
"""Cells from which their keys are made off the event loop."""


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


async def off_loop(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Work on so many cells: in a thread when they are many."""
    return await asyncio.to_thread(work, *args, **kwargs) if size >= IN_THREAD else work(*args, **kwargs)


async def known_keys(session: AsyncSession, project_id: str, keys: Keys) -> set[str]:
    """Which of these cells have an answer."""
    known: set[str] = set()
    for some in batched_by_variables(dict.fromkeys(key for v in keys for case in v for key in case), 2):
        query = select(col(AnswerRow.cell_key)).where(
            col(AnswerRow.project_id) == project_id, col(AnswerRow.cell_key).in_(some)
        )
        known |= {*await session.scalars(query)}
    return known


async def asking_of(
    session: AsyncSession,
    project_id: str,
    metrics: Sequence[tuple[LiveMetric, Judging]],
    items: Sequence[Item],
    keys: Keys,
    known: set[str],
    open_: Sequence[dict[int, int]],
) -> list[Asking]:
    """The scorers that ask models, and how many of their scores there are: of answers that are there those that were given
    before, of the others none."""
    found: list[Asking] = []
    for live, judging in metrics:
        applies = [live.metric.applies_to(item.tags) for item in items]
        fresh = sum(cells for counts in open_ for case_no, cells in counts.items() if applies[case_no])
        scores: dict[str, None] = {}
        for variant_no, variant in enumerate(keys):
            for case_no, case in enumerate(variant):
                for repeat, key in enumerate(case):
                    if key not in known or not applies[case_no]:
                        continue
                    others = [k[case_no][repeat] for n, k in enumerate(keys) if n != variant_no]
                    scores[live.key(key, items[case_no], others if live.compares else ())] = None
        given = await _stored(session, project_id, scores)
        found.append(Asking(live.metric, judging, given, len(scores) - given + fresh))
    return found


async def _stored(session: AsyncSession, project_id: str, keys: Iterable[str]) -> int:
    """How many of these scores are stored."""
    total = 0
    for some in batched_by_variables(keys, 2):
        query = select(func.count()).where(col(ScoreRow.project_id) == project_id, col(ScoreRow.key).in_(some))
        total += await session.scalar(query) or 0
    return total
