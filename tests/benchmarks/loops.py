"""What the engine is measured against: loops that make the same calls and keep nothing.

    python -m tests.benchmarks.loops openai|aiohttp BASE_URL

Prints seconds and CPU seconds as JSON, over the calls alone: imports and the first connection's set-up are not counted.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

CASES, CONCURRENCY = 1_000, 64

Call = Callable[[int], Awaitable[None]]


def question(number: int) -> str:
    return f"What is the answer to question number {number}? Say ok when you know it, and nothing else."


async def drive(call: Call) -> dict[str, float]:
    """All calls by 64 workers."""

    async def worker(numbers: Iterator[int]) -> None:
        for number in numbers:
            await call(number)

    before, started = _cpu_s(), time.perf_counter()
    numbers = iter(range(CASES))
    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(worker(numbers))
    return {"wall_s": time.perf_counter() - started, "cpu_s": _cpu_s() - before}


async def openai_loop(base_url: str) -> dict[str, float]:
    """The official client with its aiohttp backend, its ordinary parsed `create()`."""
    import openai

    async with openai.AsyncOpenAI(
        base_url=base_url, api_key="unused", max_retries=0, http_client=openai.DefaultAioHttpClient()
    ) as client:

        async def call(number: int) -> None:
            completion = await client.chat.completions.create(
                model="bench", messages=[{"role": "user", "content": question(number)}]
            )
            if completion.choices[0].message.content != "ok":
                raise RuntimeError("the server did not answer as it should")

        await call(0)
        return await drive(call)


async def aiohttp_loop(base_url: str) -> dict[str, float]:
    """No client library at all: the least that Python pays for these calls."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call(number: int) -> None:
            body = {"model": "bench", "messages": [{"role": "user", "content": question(number)}]}
            async with session.post(f"{base_url}/chat/completions", json=body) as response:
                answer = await response.json()
            if answer["choices"][0]["message"]["content"] != "ok":
                raise RuntimeError("the server did not answer as it should")

        await call(0)
        return await drive(call)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    import uvloop

    loops = {"openai": openai_loop, "aiohttp": aiohttp_loop}
    print(json.dumps(uvloop.run(loops[sys.argv[1]](sys.argv[2]))))
