"""Runs that want the same endpoint at once: the one that matters more is not held up, and equals share."""

from tests.app.runs.conftest import EXACT, Project
from tests.app.runs.endpoint import Body, endpoint


async def test_a_small_run_is_held_up_by_no_more_of_a_large_one_than_is_in_flight_or_its_share(
    project: Project,
) -> None:
    def of_small(body: Body) -> bool:
        return bool(body["temperature"] == 1)

    large_before: list[int] = []

    async with endpoint(latency_s=0.02) as asked:
        calls = {True: 0, False: 0}

        def answer(body: Body) -> str:
            calls[of_small(body)] += 1
            if of_small(body):
                large_before.append(calls[False])
            return "right"

        asked.answer = answer
        await project.suite(asked, 1_500, limits={"max_concurrency": 4})
        await project.dataset(20, "few")
        few = {"dataset": "few", "endpoints": ["model"], "scorers": [EXACT]}
        await project.make("suites", "few", few)
        large = await project.begin(priority="low", candidates=[{"prompt": "ask", "params": {"temperature": 0}}])
        for priority, most in (("high", 100), ("low", 250)):
            await asked.reached(asked.calls + 50)
            large_before.clear()
            before = calls[False]
            small = [{"prompt": "ask", "params": {"temperature": 1}}]
            run = await project.run(suite="few", candidates=small, priority=priority, fresh=True)
            assert run["cells"]["answered"] == 20
            assert large_before[-1] - before <= most, f"{priority}: without turns 800 calls are ahead of it"
        assert (await project.act(large, "cancel"))["status"] == "cancelled"
