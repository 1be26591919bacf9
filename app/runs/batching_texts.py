"""What a batch asks and what came back: cells to lines of a file, and lines to answers."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from app.datasets.schemas import Entry, Item
from app.datasets.service import Datasets
from app.generation.batching import discounted
from app.generation.schemas import CaseInput
from app.generation.service import Generation
from app.kit.db import Sessions
from app.kit.errors import DomainError
from app.llm.batches import BatchAPI, Line, line_of
from app.llm.errors import EndpointError
from app.runs.active import ActiveRun
from app.runs.batching_rows import Asked, by_key
from app.runs.planner import reservation
from app.runs.spec import Cell
from app.runs.store import PENDING, Ended

BREATH = 50
"""So many texts are made before others have their turn."""


class Question(NamedTuple):
    """One line of a batch, and what answering it may cost at most. No line: it cannot be rendered."""

    key: str
    line: bytes
    nano: int


class Read(NamedTuple):
    """What came back: answers to be stored, cells that the endpoint refuses for good, and how many keys came to nothing."""

    answered: list[Ended]
    lost: list[Ended]
    unanswered: int


class Texts:
    def __init__(self, sessions: Sessions, generation: Generation) -> None:
        self._sessions, self._generation = sessions, generation

    async def questions(self, run: ActiveRun, asked: Sequence[Asked]) -> list[Question]:
        """One question per key."""
        cells = {key: several[0] for key, several in by_key(asked).items()}
        items = await self._items(run, cells.values())
        questions: list[Question] = []
        for number, (key, cell) in enumerate(cells.items()):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            bundle, case = discounted(run.bundles[cell.variant_no]), _case(items[cell.case_no])
            try:
                request = await self._generation.request(bundle, case)
            except DomainError:  # called one by one, it is told of
                questions.append(Question(key, b"", 0))
            else:
                questions.append(Question(key, line_of(bundle.spec, key, request), reservation(bundle, case)))
        return questions

    async def read(
        self, run: ActiveRun, cells: Mapping[str, Sequence[Cell]], api: BatchAPI, lines: Mapping[str, Line]
    ) -> Read:
        """The lines of these keys as what a call would have come to."""
        items = await self._items(run, [several[0] for several in cells.values()])
        answered: list[Ended] = []
        lost: list[Ended] = []
        unanswered = 0
        for number, (key, several) in enumerate(cells.items()):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            if (line := lines.get(key)) is None:
                unanswered += 1
                continue
            item = items[several[0].case_no]
            bundle = discounted(run.bundles[several[0].variant_no])
            try:
                answer = await self._generation.received(bundle, _case(item), partial(api.read, line))
            except EndpointError as error:
                if error.retryable:
                    unanswered += 1
                    continue
                lost += [
                    Ended(cell, key, "errored", None, False, {}, error_kind=error.kind, error=error.detail)
                    for cell in several
                ]
            except DomainError:  # whoever calls it meets the same error, and tells of it
                unanswered += 1
            else:
                answered.append(Ended(several[0], key, PENDING, answer, True, {}, item=item))
        return Read(answered, lost, unanswered)

    async def _items(self, run: ActiveRun, cells: Iterable[Cell]) -> dict[int, Item]:
        numbers = sorted({cell.case_no for cell in cells})
        entries = [Entry(run.cases[n].id, run.cases[n].digest, run.cases[n].tags) for n in numbers]
        async with self._sessions() as session:
            found = await Datasets(session, run.project_id).some(entries)
        return dict(zip(numbers, found, strict=True))


def _case(item: Item) -> CaseInput:
    return CaseInput(item.inputs, item.history, item.recorded or None)
