"""How few raters would have to be taken away, or to turn round, for a verdict to be another one."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from app.gates.rollout.counts import Level
from app.stats.sequential import Phase, Votes

Way = Literal["removal", "reversal"]
Outcome = Callable[[Sequence[Phase]], tuple[object, float]]
"""Phases to the verdict, and to the number by which it is nearer to another one the higher it is."""


MANY = 100
"""Above this number a vote more or less says nothing else."""


class _Move(NamedTuple):
    level: int
    n: int


class _State:
    """Histograms of both arms, and their sums per phase kept beside them."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self.levels = levels
        self.left = [level.n for level in levels]
        self.places = sorted({level.phase for level in levels})
        self.sums = {(phase, arm): [0.0, 0.0, 0.0] for phase in self.places for arm in (True, False)}
        for level in levels:
            self._add(level, level.value, level.n)

    def phases(self) -> list[Phase]:
        return [(Votes(*self.sums[phase, True]), Votes(*self.sums[phase, False])) for phase in self.places]

    def apply(self, move: _Move, way: Way, sign: int = 1) -> None:
        level, n = self.levels[move.level], sign * move.n
        self.left[move.level] -= n
        self._add(level, level.value, -n)
        if way == "reversal":
            self._add(level, 1 - level.value, n)

    def _add(self, level: Level, value: float, n: int) -> None:
        sums = self.sums[level.phase, level.candidate]
        sums[0] += n
        sums[1] += n * value
        sums[2] += n * value * value


def fewest(
    levels: Sequence[Level], way: Way, better: bool, outcome: Outcome, *, below: int | None = None
) -> int | None:
    """The fewest votes whose `way` changes the outcome; `better` moves the candidate up, else down.

    A walk by steepest steps through both arms, and where few votes suffice (or none do) through either arm alone, since
    steepest first is not always shortest. None when even all votes would not do, or not fewer than `below`.
    """
    found = _walk(levels, way, better, outcome, (True, False), below)
    if found is not None and found > MANY:
        return found
    for arm in (True, False):
        count = _walk(levels, way, better, outcome, (arm,), below if found is None else found)
        found = count if found is None else min(found, count or found)
    return found


def _walk(
    levels: Sequence[Level], way: Way, better: bool, outcome: Outcome, arms: tuple[bool, ...], most: int | None
) -> int | None:
    """Steps grow while the goal is far, and are taken back one by one near it. Given up where it would not be less than `most`."""
    state = _State(levels)
    verdict, _ = outcome(state.phases())
    # Up: the candidate's low votes and the baseline's high ones go first; down: the reverse.
    order = sorted(range(len(levels)), key=lambda i: levels[i].value)
    queues: dict[tuple[int, bool], list[int]] = {}
    for i in order if better else reversed(order):
        level = levels[i]
        if level.candidate not in arms:
            continue
        queue = queues.setdefault((level.phase, level.candidate), [])
        if level.candidate:
            queue.append(i)
        else:
            queue.insert(0, i)
    count, step, far = 0, 1, True
    while most is None or count + 1 < most:
        move = _best(state, queues, way, step, better, outcome)
        if move is None:
            return None
        state.apply(move, way)
        if outcome(state.phases())[0] == verdict:
            count += move.n
            step = max(1, min(step * 2, count // 4)) if far else step
        elif move.n == 1:
            return count + 1
        else:
            state.apply(move, way, -1)
            step, far = max(1, move.n // 2), False
    return None


def _best(
    state: _State,
    queues: dict[tuple[int, bool], list[int]],
    way: Way,
    step: int,
    better: bool,
    outcome: Outcome,
) -> _Move | None:
    """The move of at most `step` votes that brings another verdict nearest, per vote."""
    found: tuple[float, _Move] | None = None
    here = outcome(state.phases())[1]
    for queue in queues.values():
        level = next((i for i in queue if state.left[i] > 0 and _helps(state.levels[i], way, better)), None)
        if level is None:
            continue
        move = _Move(level, min(step, state.left[level]))
        state.apply(move, way)
        gain = (outcome(state.phases())[1] - here) / move.n
        state.apply(move, way, -1)
        if found is None or gain > found[0]:
            found = (gain, move)
    return None if found is None else found[1]


def _helps(level: Level, way: Way, better: bool) -> bool:
    """Whether turning a vote round moves the candidate in the wanted direction; taking one away may always."""
    if way == "removal":
        return True
    return (level.value < 0.5) == (level.candidate == better) and level.value != 0.5
