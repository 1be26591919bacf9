"""The arithmetic by which processes divide an endpoint's limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.llm.shares import AHEAD_S, Holding, Report, State, adapt, granted, max_min, reserve, shifted

WANTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 200), min_size=1)


@given(st.integers(0, 100), WANTS, st.integers(0, 1000))
def test_parts_are_max_min_fair(limit: int, wants: dict[str, int], turn: int) -> None:
    parts, left = max_min(limit, wants, turn)
    assert sum(parts.values()) + left == limit
    assert sum(parts.values()) == min(limit, sum(wants.values()))
    for name, part in parts.items():
        assert 0 <= part <= wants[name]
        if part < wants[name]:  # nobody who got less than it wants has two fewer than another
            assert part >= max(parts.values()) - 1


def test_where_there_is_less_than_one_for_each_they_take_turns() -> None:
    got = [name for turn in range(3) for name, part in max_min(1, dict.fromkeys("abc", 9), turn)[0].items() if part]
    assert sorted(got) == ["a", "b", "c"]


STEP = st.tuples(st.integers(0, 3), st.sampled_from(["call", "end", "exchange", "exchange", "die"]), st.integers(0, 40))


@given(st.integers(1, 30), st.lists(STEP, max_size=120))
def test_what_is_in_flight_is_never_above_the_limit(limit: int, steps: list[tuple[int, str, int]]) -> None:
    """Processes that start calls within what they were last told, end them, ask for more, or die, in any order."""
    names = "abcd"
    told, in_use, rows = dict.fromkeys(names, 0), dict.fromkeys(names, 0), dict[str, Holding]()
    for number, (who, what, amount) in enumerate(steps):
        me = names[who]
        if what == "call":
            in_use[me] = max(in_use[me], min(told[me], in_use[me] + amount))
        elif what == "end":
            in_use[me] = max(0, in_use[me] - amount)
        elif what == "die":
            told[me] = in_use[me] = 0
            rows.pop(me, None)
        else:
            others = {name: row for name, row in rows.items() if name != me}
            report = Report(in_use[me], in_use[me] + amount)
            told[me], room = granted(limit, me, report, others, float(number))
            rows[me] = Holding(max(told[me], in_use[me]), report.wanted)
            assert room == limit - sum(row.granted for row in rows.values())
        assert sum(in_use.values()) <= sum(row.granted for row in rows.values()) <= limit


def test_who_wants_little_gets_it_and_some_more_and_leaves_room_for_the_next() -> None:
    mine, room = granted(64, "a", Report(0, 1), {}, 0.0)
    assert (mine, room) == (32, 32)
    assert granted(64, "a", Report(0, 500), {}, 0.0) == (64, 0)
    assert granted(64, "b", Report(0, 1), {"a": Holding(64, 500)}, 0.0) == (0, 0)
    assert granted(64, "a", Report(64, 500), {"b": Holding(0, 1)}, 0.0)[0] == 63


@given(
    st.integers(1, 100_000),
    st.lists(st.tuples(st.floats(0.0, 20.0), st.integers(1, 400)), min_size=1, max_size=40),
)
def test_in_any_minute_no_more_is_reserved_than_the_rate_and_one_burst(
    per_minute: int, asked: list[tuple[float, int]]
) -> None:
    arrival = now = 0.0
    moments: list[float] = []
    for pause, amount in asked:
        now += pause
        arrival, reserved = reserve(arrival, now, float(per_minute), float(amount), 1.0, whole=True)
        if reserved is not None:
            assert reserved.amount == int(reserved.amount) <= amount
            used = [reserved.start + i * 60.0 / per_minute for i in range(int(reserved.amount))]
            assert used[-1] <= now + AHEAD_S + 1e-6
            moments += [max(now, moment) for moment in used]
    moments.sort()
    most = per_minute + max(1.0, per_minute / 60.0)
    last = 0
    for first, moment in enumerate(moments):
        while last < len(moments) and moments[last] < moment + 60.0 - 1e-6:
            last += 1
        assert last - first <= most + 1e-6


def test_a_burst_of_refusals_halves_once_whoever_reports_it() -> None:
    state = State(64.0)
    adapt(state, Report(10, 20, refused_s=0.1, pause_s=2.0), 100.0, 64)
    adapt(state, Report(10, 20, refused_s=0.5), 100.2, 64)  # of a call that began before the others were told
    assert (state.concurrency, state.decreased_at, state.paused_until) == (32.0, 100.0, 102.0)
    adapt(state, Report(10, 20, answered=32), 101.0, 64)
    assert state.concurrency == 33.0
    adapt(state, Report(10, 20, answered=10_000), 102.0, 64)
    assert state.concurrency == 64.0


def test_a_clock_that_was_set_back_moves_what_it_measured() -> None:
    state = State(8.0, 90.0, 103.0, 101.0, 102.0, 100.0)
    shifted(state, -60.0)
    assert state == State(8.0, 30.0, 43.0, 41.0, 42.0, 40.0)
    arrival, reserved = reserve(state.requests_arrival, 40.0, 60.0, 1.0, 1.0, whole=True)
    assert reserved is None
    assert arrival == pytest.approx(41.0)
