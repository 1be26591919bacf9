"""An OpenAI-compatible chat endpoint that costs next to nothing, so that a benchmark measures its caller.

    python -m tests.benchmarks.server --latency-ms 50 [--spread 0.5] [--refused 0.05] [--broken 0.02] [--stalled 500]

Prints its base URL. Answers every POST after the given latency with the text `ok`; `GET /stats` gives the calls so far, how
many of them were given a fault, and the calls that are and at most were in flight; `GET /stats?reset` begins again. With
`--repeats` it also gives `repeated`: how many calls asked exactly what an earlier one had asked.

Faults go by the number of the call, so that every caller meets the same ones: a share of them is refused at once (429 with
`Retry-After: 1`) or broken (500), and the one call `--stalled` is answered after a minute.
"""

import argparse
import asyncio
import json
import random
from typing import NamedTuple, cast

BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21},
    }
).encode()
STALL_S = 60.0
SEED = 6


def _answer(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\n%scontent-length: %d\r\n\r\n"
    return head % (status, more, len(body)) + body


ANSWER = _answer(BODY)
REFUSED = _answer(
    b'{"error":{"message":"slow down","type":"rate_limit"}}', b"429 Too Many Requests", b"retry-after: 1\r\n"
)
BROKEN = _answer(b'{"error":{"message":"try again","type":"server_error"}}', b"500 Internal Server Error")


class Conduct(NamedTuple):
    """How calls are answered: the median of their latency in seconds and its spread (the deviation of its logarithm), the
    shares that are refused and broken, and the number of the call that stalls."""

    latency_s: float
    spread: float = 0.0
    refused: float = 0.0
    broken: float = 0.0
    stalled: int | None = None

    def reply(self, number: int) -> tuple[float, bytes]:
        """When and what the call of this number (from 1) is answered."""
        if not (self.spread or self.refused or self.broken or self.stalled):
            return self.latency_s, ANSWER
        if number == self.stalled:
            return STALL_S, ANSWER
        drawn = random.Random(SEED * 1_000_003 + number)
        fate = drawn.random()
        if fate < self.refused:
            return 0.0, REFUSED
        latency_s = self.latency_s * drawn.lognormvariate(0.0, self.spread)
        return latency_s, BROKEN if fate < self.refused + self.broken else ANSWER


class Server:
    """Counts as long as it lives."""

    def __init__(self, conduct: Conduct, *, repeats: bool = False) -> None:
        self._conduct = conduct
        self._seen: set[bytes] | None = set() if repeats else None
        self.calls = self.faults = self.in_flight = self.most_in_flight = self.repeated = 0

    def protocol(self) -> "Connection":
        return Connection(self)

    def take(self, asked: bytearray) -> tuple[float, bytes]:
        """Counts a call in, and says when and what it is answered."""
        if self._seen is not None:
            self.repeated += bytes(asked) in self._seen
            self._seen.add(bytes(asked))
        self.calls += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        after_s, answer = self._conduct.reply(self.calls)
        self.faults += answer is not ANSWER or after_s == STALL_S
        return after_s, answer

    def stats(self, reset: bool) -> bytes:
        names = ("calls", "faults", "in_flight", "most_in_flight", "repeated")
        body = json.dumps({name: getattr(self, name) for name in names}).encode()
        if reset:
            self.calls = self.faults = self.most_in_flight = self.repeated = 0
            if self._seen is not None:
                self._seen.clear()
        return body


class Connection(asyncio.Protocol):
    """One connection; a request at a time, as clients without pipelining send them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """A caller that gave up is in flight no more."""
        del exc
        if self._due is not None:
            self._due.cancel()
            self._due = None
            self._server.in_flight -= 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._received) < end + 4 + length:
            return
        asked = self._received[end + 4 : end + 4 + length]
        del self._received[: end + 4 + length]
        if head.startswith(b"get /stats"):
            self._write(_answer(self._server.stats(b"?reset" in head.split(b" ", 2)[1])))
            return
        after_s, answer = self._server.take(asked)
        self._due = asyncio.get_running_loop().call_later(after_s, self._reply, answer)

    def _reply(self, answer: bytes) -> None:
        self._due = None
        self._server.in_flight -= 1
        self._write(answer)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


async def serve(conduct: Conduct, *, repeats: bool) -> None:
    counting = Server(conduct, repeats=repeats)
    server = await asyncio.get_running_loop().create_server(counting.protocol, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--spread", type=float, default=0.0)
    parser.add_argument("--refused", type=float, default=0.0)
    parser.add_argument("--broken", type=float, default=0.0)
    parser.add_argument("--stalled", type=int)
    parser.add_argument("--repeats", action="store_true")
    given = parser.parse_args()
    import uvloop

    conduct = Conduct(given.latency_ms / 1000, given.spread, given.refused, given.broken, given.stalled)
    uvloop.run(serve(conduct, repeats=given.repeats))


if __name__ == "__main__":
    main()
