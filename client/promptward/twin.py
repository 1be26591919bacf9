"""Written once, used twice: the methods of the asynchronous client also make up the blocking one.

A group of methods (`client.runs`) is `Group[Async]` or `Group[Sync]`. Its methods are coroutines marked with
`operation`, or asynchronous generators marked with `streaming`. Taken from an asynchronous group they are what they
are; taken from a blocking one they run on the client's own event loop, in a thread of its own, and return when done.
"""

# ruff: noqa: SLF001  Group and its descriptors are one mechanism

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from promptward.core import Core

P = ParamSpec("P")
T = TypeVar("T")


class Async:
    """Marks groups of the asynchronous client."""


class Sync:
    """Marks groups of the blocking client."""


Mode = TypeVar("Mode", Async, Sync)


class Portal:
    """An event loop in a thread of its own, started at its first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result. An interrupt while waiting (Ctrl-C) cancels the coroutine."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._started())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="promptward", daemon=True)
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


class Group(Generic[Mode]):
    """Methods around one noun. `portal` is what makes them blocking."""

    def __init__(self, core: Core, portal: Portal | None = None) -> None:
        self._core = core
        self._portal = portal

    def _asynchronous(self) -> "Group[Any]":
        return type(self)(self._core)


class operation(Generic[P, T]):  # noqa: N801  used as a decorator
    """A method that asks once and has an answer."""

    def __init__(self, function: Callable[Concatenate[Any, P], Awaitable[T]]) -> None:
        self._function = function
        functools.update_wrapper(self, function)  # type: ignore[arg-type]

    @overload
    def __get__(self, group: Group[Async], owner: Any) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, group: Group[Sync], owner: Any) -> Callable[P, T]: ...
    @overload
    def __get__(self, group: None, owner: Any) -> "operation[P, T]": ...
    def __get__(self, group: Any, owner: Any) -> Any:
        if group is None:
            return self
        if group._portal is None:
            return functools.partial(self._function, group)
        return functools.partial(self._blocking, group._portal, group._asynchronous())

    def _blocking(self, portal: Portal, group: Group[Any], *args: P.args, **kwargs: P.kwargs) -> T:
        async def call() -> T:
            return await self._function(group, *args, **kwargs)

        return portal.run(call())


class streaming(Generic[P, T]):  # noqa: N801  used as a decorator
    """A method that answers bit by bit."""

    def __init__(self, function: Callable[Concatenate[Any, P], AsyncGenerator[T, None]]) -> None:
        self._function = function
        functools.update_wrapper(self, function)  # type: ignore[arg-type]

    @overload
    def __get__(self, group: Group[Async], owner: Any) -> Callable[P, AsyncGenerator[T, None]]: ...
    @overload
    def __get__(self, group: Group[Sync], owner: Any) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, group: None, owner: Any) -> "streaming[P, T]": ...
    def __get__(self, group: Any, owner: Any) -> Any:
        if group is None:
            return self
        if group._portal is None:
            return functools.partial(self._function, group)
        return functools.partial(self._blocking, group._portal, group._asynchronous())

    def _blocking(
        self, portal: Portal, group: Group[Any], *args: P.args, **kwargs: P.kwargs
    ) -> Generator[T, None, None]:
        items = self._function(group, *args, **kwargs)

        async def step() -> tuple[bool, Any]:
            try:
                return True, await anext(items)
            except StopAsyncIteration:
                return False, None

        try:
            while (found := portal.run(step()))[0]:
                yield found[1]
        finally:
            portal.run(items.aclose())
