"""Whom a command talks to: PROMPTWARD_URL, else the service running on this home, else one inside this process."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from promptward import AsyncClient, PromptwardError
from promptward.asgi import StreamingASGITransport

from app.settings import Settings

EMBEDDED_URL = "http://embedded"


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[AsyncClient]:
    """A client for as long as the block lasts."""
    if settings.url is not None:
        async with AsyncClient(settings.url, settings.api_key) as client:
            yield client
        return
    from app.main import embedded, running_service

    if address := running_service(settings):
        async with AsyncClient(address.url, address.token) as client:
            yield client
        return
    stack = AsyncExitStack()
    with same_errors():
        service = await stack.enter_async_context(embedded(settings))
    client = AsyncClient(EMBEDDED_URL, service.token, transport=StreamingASGITransport(service.app))
    await stack.enter_async_context(client)
    try:
        yield client
    finally:
        # What went wrong in the block is no business of the service's: it is to end in an orderly way.
        await stack.aclose()


@contextmanager
def same_errors() -> Iterator[None]:
    """An error at the start of the service in this process looks like one that came over HTTP."""
    from app.main import DomainError

    try:
        yield
    except Exception as error:
        cause = _only(error)
        if isinstance(cause, DomainError):
            raise PromptwardError(cause.detail, slug=cause.slug, status=cause.status) from error
        if isinstance(cause, OSError):
            detail = f"the database or the home cannot be used: {cause}; see `promptward settings`"
            raise PromptwardError(detail, slug="unavailable", status=503) from error
        raise


def _only(error: Exception) -> Exception:
    """What a task group wrapped, when that is one thing."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
