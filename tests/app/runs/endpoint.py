"""A model endpoint on a socket: a function of the request says what it answers, and it counts."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.app.llm.canned import completion, http

Body = dict[str, Any]
Answer = Callable[[Body], bytes | str]
"""What a request is answered with: a text, or a whole HTTP answer."""


def question_of(body: Body) -> str:
    return str(body["messages"][-1]["content"])


def echo(body: Body) -> str:
    return f"you asked: {question_of(body)}"


def content_filter(_body: Body) -> bytes:
    return http(400, {"error": {"message": "refused by the filter", "code": "content_filter"}})


def unauthorised(_body: Body) -> bytes:
    return http(401, {"error": {"message": "no such key"}})


class Endpoint:
    """`answer` and the latencies may be changed while it runs: `latency_s` is for all, `slow` for single questions. `asked`
    counts requests by their last message."""

    def __init__(self, base_url: str, answer: Answer, latency_s: float) -> None:
        self.base_url, self.answer, self.latency_s = base_url, answer, latency_s
        self.asked: Counter[str] = Counter()
        self.slow: dict[str, float] = {}
        self.in_flight = self.most_in_flight = 0
        self.began: list[float] = []
        self._came = asyncio.Condition()

    @property
    def calls(self) -> int:
        return self.asked.total()

    async def reached(self, calls: int) -> None:
        """Returns once so many requests have come."""
        async with asyncio.timeout(30), self._came:
            await self._came.wait_for(lambda: self.calls >= calls)

    def reset(self) -> None:
        self.asked.clear()
        self.most_in_flight = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                body: Body = json.loads(await reader.readexactly(length))
                self.began.append(asyncio.get_running_loop().time())
                self.asked[question_of(body)] += 1
                self.in_flight += 1
                async with self._came:
                    self._came.notify_all()
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    await asyncio.sleep(self.slow.get(question_of(body), self.latency_s))
                finally:
                    self.in_flight -= 1
                answer = self.answer(body)
                writer.write(http(200, completion(answer)) if isinstance(answer, str) else answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()


@asynccontextmanager
async def endpoint(answer: Answer = echo, latency_s: float = 0.0) -> AsyncIterator[Endpoint]:
    made: list[Endpoint] = []
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await made[0].handle(reader, writer)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=512)
    made.append(Endpoint(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", answer, latency_s))
    try:
        yield made[0]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
