"""A budget is never overspent, however many calls are in flight."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from app.runs.budget import BudgetSpentError, LocalBudget
from tests.app.llm.canned import completion, http
from tests.app.runs.conftest import Project, cells
from tests.app.runs.endpoint import Endpoint

# What the planner reserves per call is 1 cent (100 answer tokens), and so much each call costs.
PRICE = {"price": {"input": 0, "output": 100}, "params": {"max_tokens": 100}, "limits": {"max_concurrency": 64}}
CENT = 0.01


def a_cent(_body: object) -> bytes:
    return http(200, completion("ok", usage={"prompt_tokens": 10, "completion_tokens": 100}))


async def test_64_at_once_with_room_for_k_make_exactly_k_calls(project: Project, asked: Endpoint) -> None:
    asked.answer, asked.latency_s = a_cent, 0.05
    await project.suite(asked, 100, **PRICE)
    run = await project.run(budget_usd=17.5 * CENT)
    assert (run["status"], asked.calls, asked.most_in_flight) == ("budget", 17, 17)
    assert (cells(run), run["cost_usd"]) == ({"answered": 17, "cancelled": 83}, 17 * CENT)
    assert "budget" in run["reason"]


async def test_a_raised_budget_continues_and_counts_what_was_spent(sqlite_project: Project, asked: Endpoint) -> None:
    asked.answer = a_cent
    await sqlite_project.suite(asked, 30, **PRICE)
    run = await sqlite_project.run(budget_usd=10 * CENT)
    await sqlite_project.act(run["id"], "resume", budget_usd=25 * CENT)
    more = await sqlite_project.rest(run["id"])
    assert (more["status"], asked.calls, cells(more)["answered"]) == ("budget", 25, 25)


async def test_calls_that_turn_out_cheaper_leave_room_for_more(sqlite_project: Project, asked: Endpoint) -> None:
    await sqlite_project.suite(asked, 30, **PRICE)  # 5 tokens each, not 100
    run = await sqlite_project.run(budget_usd=2.5 * CENT)
    assert (run["status"], cells(run)) == ("done", {"answered": 30})


async def test_a_budget_below_one_call_is_refused_before_anything_is_stored(project: Project, asked: Endpoint) -> None:
    await project.suite(asked, 3, **PRICE)
    problem = await project.refused(budget_usd=0.5 * CENT)
    assert (problem["status"], problem["type"]) == (422, "urn:promptward:budget")
    assert problem["errors"][0]["pointer"] == "/budget_usd"
    assert asked.calls == 0


async def test_a_budget_needs_a_price(sqlite_project: Project, asked: Endpoint) -> None:
    await sqlite_project.suite(asked, 3)
    problem = await sqlite_project.refused(budget_usd=1)
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/budget_usd")
    assert "'model' has no price" in problem["detail"]


async def test_known_answers_need_no_budget(sqlite_project: Project, asked: Endpoint) -> None:
    asked.answer = a_cent
    await sqlite_project.suite(asked, 3, **PRICE)
    await sqlite_project.run()
    run = await sqlite_project.run(budget_usd=0)
    assert (run["status"], cells(run), run["cost_usd"]) == ("done", {"cached": 3}, 0)


@given(limit=st.integers(0, 100), calls=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), max_size=30))
def test_what_is_spent_never_passes_the_limit_when_no_call_costs_more_than_reserved(
    limit: int, calls: list[tuple[int, int]]
) -> None:
    async def run() -> None:
        budget = LocalBudget(limit)
        most = 0

        async def call(reserved: int, cost: int) -> None:
            nonlocal most
            try:
                await budget.reserve(reserved)
            except BudgetSpentError:
                return
            most = max(most, budget.spent + budget.reserved)
            await asyncio.sleep(0)
            budget.settle(reserved, min(cost, reserved))

        await asyncio.gather(*(call(*each) for each in calls))
        assert most <= limit
        assert budget.spent <= limit
        assert budget.reserved == 0

    asyncio.run(run())
