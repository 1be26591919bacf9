"""What the engine is measured against: loops that make the same calls and keep nothing.

    python -m tests.benchmarks.loops openai|parsed|aiohttp BASE_URL [--cases 1000] [--concurrency 64] [--timeout-s 60]

`openai` is the official client with its aiohttp backend and raw responses, of which the answer alone is read; `parsed` its
ordinary `create()`; `aiohttp` no client library at all. The official client's own retries are on, `aiohttp` has none.

Prints seconds and CPU seconds as JSON, over the calls alone: imports and the first connection's set-up are not counted.
"""

import argparse
import asyncio
import json
import resource
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import msgspec

RETRIES = 8

Call = Callable[[int], Awaitable[None]]


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class Asked(NamedTuple):
    base_url: str
    cases: int
    concurrency: int
    timeout_s: float


def question(number: int) -> str:
    return f"What is the answer to question number {number}? Say ok when you know it, and nothing else."


def request(number: int) -> dict[str, Any]:
    return {"model": "bench", "messages": [{"role": "user", "content": question(number)}]}


async def drive(asked: Asked, call: Call) -> dict[str, float]:
    """All calls, as many at once as were asked for."""

    async def worker(numbers: Iterator[int]) -> None:
        for number in numbers:
            await call(number)

    before, started = _cpu_s(), time.perf_counter()
    numbers = iter(range(asked.cases))
    async with asyncio.TaskGroup() as group:
        for _ in range(asked.concurrency):
            group.create_task(worker(numbers))
    return {"wall_s": time.perf_counter() - started, "cpu_s": _cpu_s() - before}


async def openai_loop(asked: Asked, *, raw: bool) -> dict[str, float]:
    import openai

    async with openai.AsyncOpenAI(
        base_url=asked.base_url,
        api_key="unused",
        max_retries=RETRIES,
        timeout=asked.timeout_s,
        http_client=openai.DefaultAioHttpClient(timeout=asked.timeout_s),
    ) as client:
        completions = client.chat.completions
        decoder = msgspec.json.Decoder(_Completion)

        async def parsed(number: int) -> None:
            _check((await completions.create(**request(number))).choices[0].message.content)

        async def unparsed(number: int) -> None:
            response = await completions.with_raw_response.create(**request(number))
            _check(decoder.decode(response.content).choices[0].message.content)

        call = unparsed if raw else parsed
        await call(0)
        return await drive(asked, call)


async def aiohttp_loop(asked: Asked) -> dict[str, float]:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call(number: int) -> None:
            async with session.post(f"{asked.base_url}/chat/completions", json=request(number)) as response:
                answer = await response.json()
            _check(answer["choices"][0]["message"]["content"])

        await call(0)
        return await drive(asked, call)


def _check(text: str | None) -> None:
    if text != "ok":
        raise RuntimeError("the server did not answer as it should")


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loop", choices=["openai", "parsed", "aiohttp"])
    parser.add_argument("base_url")
    parser.add_argument("--cases", type=int, default=1_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--timeout-s", type=float, default=60.0)
    given = parser.parse_args()
    asked = Asked(given.base_url, given.cases, given.concurrency, given.timeout_s)
    import uvloop

    driven = aiohttp_loop(asked) if given.loop == "aiohttp" else openai_loop(asked, raw=given.loop == "openai")
    print(json.dumps(uvloop.run(driven)))


if __name__ == "__main__":
    main()
