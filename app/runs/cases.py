"""The cases of runs, decoded once for many pages: what a run has of them never changes, but for more at its end."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.runs import store
from app.runs.spec import Case, decode_cases
from app.runs.store import Loaded
from app.runs.tables import RunCasesRow

HELD = 300_000
"""Cases of the runs read last that are held, some 100 MB; one run is held whatever its size."""


class Cases:
    """The cases of a run in their order, and where each stands."""

    def __init__(self, cases: list[Case]) -> None:
        self.all = cases

    @cached_property
    def place(self) -> dict[str, int]:
        return {case.id: n for n, case in enumerate(self.all)}

    @cached_property
    def tagged(self) -> dict[str, list[int]]:
        """The numbers of the cases with each tag, ascending."""
        found: dict[str, list[int]] = {}
        for n, case in enumerate(self.all):
            for tag in case.tags:
                found.setdefault(tag, []).append(n)
        return found

    def numbers(self, ids: Sequence[str]) -> list[int]:
        """Where the cases of these ids stand, ascending; ids that are not there are left out."""
        return sorted({self.place[name] for name in ids if name in self.place})


_held: "OrderedDict[tuple[str, str, int], Cases]" = OrderedDict()


async def load(session: AsyncSession, project_id: str, run_id: str) -> Loaded | None:
    """A run with its cases, which are not to be changed: other readers have the same."""
    run = await store.load(session, project_id, run_id, cases=False)
    return None if run is None else run._replace(cases=(await cases_of(session, run)).all)


async def cases_of(session: AsyncSession, run: Loaded) -> Cases:
    key = (run.row.project_id, run.row.id, run.spec.cases)
    if (found := _held.get(key)) is None:
        query = select(col(RunCasesRow.cases)).where(
            col(RunCasesRow.project_id) == key[0], col(RunCasesRow.run_id) == key[1]
        )
        encoded = await session.scalar(query)
        found = Cases([] if encoded is None else decode_cases(encoded))
        if len(found.all) == run.spec.cases:  # a run that is being extended may be between two sizes
            _hold(key, found)
    else:
        _held.move_to_end(key)
    return found


def _hold(key: tuple[str, str, int], cases: Cases) -> None:
    _held[key] = cases
    while len(_held) > 1 and sum(len(held.all) for held in _held.values()) > HELD:
        _held.popitem(last=False)
