"""An OpenAI-compatible chat endpoint that costs next to nothing, so that a benchmark measures its caller.

    python -m tests.benchmarks.server --latency-ms 50

Prints its base URL. Answers every POST after the given latency with the text `ok`; `GET /stats` gives the calls so far and
the most that were in flight at once, and `GET /stats?reset` begins again.
"""

import argparse
import asyncio
import json
from typing import cast

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


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


ANSWER = _answer(BODY)


class Server:
    """Counts as long as it lives."""

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s
        self.calls = self.in_flight = self.most_in_flight = 0

    def protocol(self) -> "Connection":
        return Connection(self)

    def stats(self, reset: bool) -> bytes:
        body = json.dumps({"calls": self.calls, "most_in_flight": self.most_in_flight}).encode()
        if reset:
            self.calls = self.most_in_flight = 0
        return body


class Connection(asyncio.Protocol):
    """One connection; a request at a time, as clients without pipelining send them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

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
        del self._received[: end + 4 + length]
        if head.startswith(b"get /stats"):
            self._write(_answer(self._server.stats(b"?reset" in head.split(b" ", 2)[1])))
            return
        server = self._server
        server.calls += 1
        server.in_flight += 1
        server.most_in_flight = max(server.most_in_flight, server.in_flight)
        asyncio.get_running_loop().call_later(server.latency_s, self._reply)

    def _reply(self) -> None:
        self._server.in_flight -= 1
        self._write(ANSWER)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


async def serve(latency_ms: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        Server(latency_ms / 1000).protocol, "127.0.0.1", 0, backlog=1024
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    import uvloop

    uvloop.run(serve(parser.parse_args().latency_ms))


if __name__ == "__main__":
    main()
