"""Serving the development model over a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from app.devmodel.app import DevModel, create_devmodel
from app.devmodel.exchange import ABORT
from app.devmodel.options import Options
from app.kit.sockets import BACKLOG, listening_socket

# Longer than clients keep idle connections, so that a request never meets a connection that is just being closed.
_KEEP_ALIVE_S = 120


@asynccontextmanager
async def running_devmodel(
    host: str = "127.0.0.1", port: int = 0, *, options: Options | None = None, **fields: Any
) -> AsyncIterator[str]:
    """Serve in the current event loop while the block runs; yields the base URL, such as `http://127.0.0.1:40123/v1`.

    `fields` are those of `Options`. The counters are at `GET /stats` beside `/v1`. Raises OSError when the port is taken.
    """
    devmodel = create_devmodel(options, **fields)
    listener = listening_socket(host, port)
    server = _server(devmodel, signals=False)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="devmodel")
    try:
        while not server.started:
            if serving.done():
                await serving
                raise RuntimeError("the development model's server ended before it had started")
            await asyncio.sleep(0)
        yield base_url(listener)
    finally:
        devmodel.close()
        server.should_exit = True
        await serving


def serve(
    host: str = "127.0.0.1",
    port: int = 8100,
    *,
    options: Options | None = None,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; `started` is told the base URL.

    Raises OSError when the port is taken, and KeyboardInterrupt after SIGINT, once the server has stopped.
    """
    devmodel = create_devmodel(options)
    listener = listening_socket(host, port)

    async def main() -> None:
        server = _server(devmodel, signals=True)
        if started is not None:
            started(base_url(listener))
        await server.serve(sockets=[listener])

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main())


def base_url(listener: socket.socket) -> str:
    """Where clients find the API that a socket listens for."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not available on Windows
        return None
    return uvloop.new_event_loop


def _server(devmodel: DevModel, *, signals: bool) -> Any:
    """A uvicorn server whose protocol can cut connections, and which releases waiting requests when told to stop."""
    import uvicorn
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Protocol(HttpToolsProtocol):
        """Offers the ABORT extension."""

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.scope["extensions"] = {ABORT: {"call": self.transport.abort}}

    class Server(uvicorn.Server):
        """Leaves the signals to the process it runs in, unless it is the process's only job."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            if not signals:
                yield
                return
            with super().capture_signals():
                yield

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            devmodel.close()
            await super().shutdown(sockets=sockets)

    config = uvicorn.Config(
        devmodel,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    return Server(config)
