"""Executes chunks of cells: reads what is known, asks what is not, judges, and hands every end to the writer."""

import asyncio
from collections.abc import Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.datasets.schemas import Entry, Item
from app.datasets.service import Datasets
from app.generation.schemas import Answer, Bundle, CaseInput
from app.generation.service import Generation
from app.kit.db import Sessions
from app.kit.errors import DomainError
from app.llm.errors import EndpointError
from app.runs import store
from app.runs.active import ActiveRun
from app.runs.budget import BudgetSpentError
from app.runs.claims import AGAIN_S, Claims, NoClaims
from app.runs.planner import reservation
from app.runs.scoring import Given, Scored, judged
from app.runs.spec import Cell
from app.runs.store import PENDING, Ended, Known
from app.runs.writer import FLUSH_CELLS, Writer

HELD_S = 1.0
"""A call holds its place this long at most: one that waits for its next attempt must not keep others from calling."""

Place = tuple[str, str]
"""A project and a cell's key."""


class Executor:
    """`out_of_budget` is told of a run whose next call does not fit its budget."""

    def __init__(
        self,
        sessions: Sessions,
        generation: Generation,
        writer: Writer,
        claims: Claims,
        out_of_budget: Callable[[ActiveRun], None],
    ) -> None:
        self._sessions, self._generation, self._writer, self._claims = sessions, generation, writer, claims
        self._shared = not isinstance(claims, NoClaims)
        self._out_of_budget = out_of_budget
        self._asked: dict[Place, asyncio.Future[Answer]] = {}
        self._rooms: dict[str, asyncio.Semaphore] = {}

    async def chunk(self, run: ActiveRun, cells: Sequence[Cell]) -> None:
        """Brings the cells to their ends. A key that another chunk asks about is not asked here, whatever run or process it is
        of."""
        mine: dict[str, list[Cell]] = {}
        own: dict[str, asyncio.Future[Answer]] = {}
        theirs: dict[Cell, asyncio.Future[Answer]] = {}
        loop = asyncio.get_running_loop()
        for cell in cells:
            key = run.pending[cell]
            if key in mine:
                mine[key].append(cell)
            elif (asked := self._asked.get((run.project_id, key))) is not None:
                theirs[cell] = asked
            else:
                # Before the database is read: what is not there then is asked by nobody else.
                self._asked[run.project_id, key] = own[key] = loop.create_future()
                own[key].add_done_callback(_seen)
                mine[key] = [cell]
        elsewhere: list[Cell] = []
        try:
            elsewhere = await self._execute(run, mine, own, theirs)
        finally:
            for key, asked in own.items():
                if not asked.done():  # what was answered is asked about until it is stored
                    self._unasked((run.project_id, key), asked)
            await self._release(run, [key for key, asked in own.items() if asked.cancelled()])
        if elsewhere and not run.stopping:
            await asyncio.sleep(AGAIN_S)
            await self.chunk(run, elsewhere)

    async def _execute(
        self,
        run: ActiveRun,
        mine: dict[str, list[Cell]],
        own: dict[str, "asyncio.Future[Answer]"],
        theirs: dict[Cell, "asyncio.Future[Answer]"],
    ) -> list[Cell]:
        """Returns the cells whose answers another process asks for."""
        cases = {cell.case_no for cells in (*mine.values(), theirs) for cell in cells}
        async with self._sessions() as session:
            items = await self._items(session, run, sorted(cases))
            known = await store.known(session, run.project_id, mine)
        if lacking := [key for key in mine if key not in known]:
            claimed = await self._claims.take(run.project_id, lacking)
            if self._shared:
                async with self._sessions() as session:  # who had claimed them before may have been answered since
                    known |= await store.known(session, run.project_id, claimed)
        else:
            claimed = set()
        elsewhere = [cell for key in mine if key not in known and key not in claimed for cell in mine[key]]
        async with self._sessions() as session:
            scores = await self._kept(session, run, items, [(cell, key) for key in known for cell in mine[key]])
            unscored = {key for key in known for cell in mine[key] if len(scores[cell]) < len(run.alone)}
            answers = await store.answers(session, run.project_id, unscored, run.reads)
        for key in known:
            self._unasked((run.project_id, key), own[key])  # whoever waits for it reads it as we did
        async with asyncio.TaskGroup() as group:
            for key, cells in mine.items():
                if (found := known.get(key)) is not None:
                    answer = store.answer_of(answers[key]) if key in answers else None
                    for cell in cells:
                        item = items[cell.case_no]
                        ended = Ended(cell, key, _status(run, found), answer, False, scores[cell], item=item)
                        if answer is None or not self._unjudged(run, ended.scores):
                            self._writer.put(run, ended)
                        else:
                            group.create_task(self._end(run, ended))
                    continue
                if key not in claimed:
                    continue
                asked = own[key]
                group.create_task(self._ask(run, cells[0], key, items[cells[0].case_no], asked))
                for cell in cells[1:]:
                    group.create_task(self._follow(run, cell, key, items[cell.case_no], asked))
            if theirs:
                group.create_task(self._follow_all(run, theirs, items))
        return elsewhere

    async def _release(self, run: ActiveRun, keys: Sequence[str]) -> None:
        """Claims on what was not asked for after all; those on answers are released as they are stored."""
        if not keys or not self._shared:
            return
        async with self._sessions.begin() as session:
            await self._claims.release(session, run.project_id, keys)

    async def _items(self, session: AsyncSession, run: ActiveRun, numbers: Sequence[int]) -> dict[int, Item]:
        entries = [Entry(run.cases[n].id, run.cases[n].digest, run.cases[n].tags) for n in numbers]
        return dict(zip(numbers, await Datasets(session, run.project_id).some(entries), strict=True))

    async def _kept(
        self, session: AsyncSession, run: ActiveRun, items: dict[int, Item], known: Sequence[tuple[Cell, str]]
    ) -> dict[Cell, dict[int, Scored]]:
        """The scores that are known for cells whose answers are known, by metric."""
        wanted: list[tuple[Cell, int, str]] = []
        found: dict[Cell, dict[int, Scored]] = {}
        for cell, key in known:
            item, found[cell] = items[cell.case_no], {}
            for number in run.alone:
                live = run.live.metrics[number]
                if (skipped := live.not_applicable(item)) is not None:
                    found[cell][number] = skipped
                else:
                    wanted.append((cell, number, live.key(key, item)))
        kept = await store.scores(session, run.project_id, [key for _, _, key in wanted])
        for cell, number, key in wanted:
            if (row := kept.get(key)) is not None:
                found[cell][number] = Scored(store.score_of(row), key, fresh=False)
        return found

    async def _ask(self, run: ActiveRun, cell: Cell, key: str, item: Item, asked: "asyncio.Future[Answer]") -> None:
        """One call, and the cell's end."""
        bundle, place = run.bundles[cell.variant_no], (run.project_id, key)
        room = await self._enter(bundle)
        if self._claims.lapsed:  # somebody else may be asking by now
            room.leave()
            self._unasked(place, asked)
            return
        try:
            answer = await self._paid(run, bundle, CaseInput(item.inputs, item.history, item.recorded or None))
        except BudgetSpentError:
            self._out_of_budget(run)
        except DomainError as error:
            asked.set_exception(error)
            self._lost(run, cell, key, error)
        else:
            if answer is not None:
                room.keep()
                asked.set_result(answer)
        finally:
            if not asked.done() or asked.exception() is not None:
                room.leave()
                self._unasked(place, asked)
        if asked.cancelled() or asked.exception() is not None:
            return

        def stored() -> None:
            room.leave()
            self._unasked(place, asked)

        ended = Ended(cell, key, asked.result().status, asked.result(), True, {}, item=item, stored=stored)
        if self._unjudged(run, {}):
            # Judging takes its time; what was paid for is kept now.
            self._writer.put(run, ended._replace(status=PENDING))
            await self._end(run, ended._replace(paid=False, stored=None))
        else:
            self._writer.put(run, ended)

    async def _paid(self, run: ActiveRun, bundle: Bundle, case: CaseInput) -> Answer | None:
        """The answer, within the run's budget; none when the run was stopped meanwhile."""
        reserved = reservation(bundle, case) if run.budget.limit is not None else 0
        await run.budget.reserve(reserved)
        cost = 0
        try:
            if run.stopping:
                return None
            generate = self._generation.measured if run.measured else self._generation.generate
            answer = await generate(bundle, case)
            cost = answer.cost_nano or 0
        finally:
            run.budget.settle(reserved, cost)
        return answer

    async def _follow(self, run: ActiveRun, cell: Cell, key: str, item: Item, asked: "asyncio.Future[Answer]") -> bool:
        """Ends a cell as the one that asks for the same ends; False when that one was stopped, or had no need to ask."""
        await asyncio.wait([asked])
        if asked.cancelled():
            return False
        if isinstance(error := asked.exception(), DomainError):
            self._lost(run, cell, key, error)
            return True
        answer = asked.result()
        status = "failed" if answer.status == "failed" else "cached"
        await self._end(run, Ended(cell, key, status, answer, False, {}, item=item))
        return True

    async def _follow_all(
        self, run: ActiveRun, theirs: dict[Cell, "asyncio.Future[Answer]"], items: dict[int, Item]
    ) -> None:
        """Cells whose keys other chunks ask about; what came to nothing there is begun again here."""
        async with asyncio.TaskGroup() as group:
            tasks = {
                cell: group.create_task(self._follow(run, cell, run.pending[cell], items[cell.case_no], asked))
                for cell, asked in theirs.items()
            }
        again = [cell for cell, task in tasks.items() if not task.result()]
        if again and not run.stopping:
            await self.chunk(run, again)

    async def _end(self, run: ActiveRun, ended: Ended) -> None:
        """Asks the judges that have not judged, then hands the cell to the writer, which asks the pure scorers."""
        open_ = self._unjudged(run, ended.scores)
        if open_:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._judge(run, ended, number)) for number in open_]
            if not all(task.result() for task in tasks):
                return
        self._writer.put(run, ended)

    async def _judge(self, run: ActiveRun, ended: Ended, number: int) -> bool:
        """Whether the judge could be paid; its score is kept at once."""
        live = run.live.metrics[number]
        assert ended.item is not None and ended.answer is not None  # noqa: S101, PT018 - only answers are judged
        judge = run.live.judges[number]
        given = Given(ended.key, ended.item, ended.answer, run.bundles[ended.cell.variant_no])
        scored = await judged(live, given, judge.models)
        if scored.score.status == "error" and judge.unpaid:
            self._out_of_budget(run)
            return False
        self._writer.put(run, ended._replace(status=PENDING, answer=None, paid=False, scores={number: scored}))
        return True

    @staticmethod
    def _unjudged(run: ActiveRun, scores: dict[int, Scored]) -> list[int]:
        return [number for number in run.alone if number in run.live.judges and number not in scores]

    def _lost(self, run: ActiveRun, cell: Cell, key: str, error: DomainError) -> None:
        """Infrastructure gave no answer: no score, never a pass."""
        kind = error.kind if isinstance(error, EndpointError) else error.slug
        self._writer.put(run, Ended(cell, key, "errored", None, False, {}, error_kind=kind, error=error.detail))

    async def _enter(self, bundle: Bundle) -> "_Room":
        """Waits until so few calls of an endpoint are in flight or not stored that a killed process repeats no more than
        the most in flight and one batch of the writer."""
        if bundle.endpoint.provider == "replay":
            return _Room(None)
        room = self._rooms.get(bundle.endpoint_digest)
        if room is None:
            most = bundle.spec.limits.max_concurrency + FLUSH_CELLS
            room = self._rooms[bundle.endpoint_digest] = asyncio.Semaphore(most)
        await room.acquire()
        return _Room(room)

    def _unasked(self, place: Place, asked: "asyncio.Future[Answer]") -> None:
        """Who asked about a key asks no more. Somebody else may be asking about it by now, and goes on."""
        if self._asked.get(place) is asked:
            del self._asked[place]
        if not asked.done():
            asked.cancel()


class _Room:
    """A place among the calls of an endpoint, left once."""

    def __init__(self, room: asyncio.Semaphore | None) -> None:
        self._room = room
        self._timer = asyncio.get_running_loop().call_later(HELD_S, self.leave) if room is not None else None

    def keep(self) -> None:
        """From now on until it is left, however long that takes: what is answered is to be stored."""
        if self._timer is not None:
            self._timer.cancel()

    def leave(self) -> None:
        if self._room is not None and self._timer is not None:
            self._timer.cancel()
            self._room.release()
            self._room = None


def _status(run: ActiveRun, known: Known) -> str:
    if known.status == "failed":
        return "failed"
    return "answered" if known.run_id == run.id else "cached"


def _seen(asked: "asyncio.Future[Answer]") -> None:
    """Whoever asked has told of the error; nobody else may be waiting for it."""
    if not asked.cancelled():
        asked.exception()
