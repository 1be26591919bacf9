"""Whom a command talks to: PROMPTWARD_URL, else the service running on this home, else one inside this process."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

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
    with same_errors():
        async with (
            embedded(settings) as service,
            AsyncClient(EMBEDDED_URL, service.token, transport=StreamingASGITransport(service.app)) as client,
        ):
            yield client


@contextmanager
def same_errors() -> Iterator[None]:
    """An error of the service in this process looks like one that came over HTTP."""
    from app.main import DomainError

    try:
        yield
    except DomainError as error:
        raise PromptwardError(error.detail, slug=error.slug, status=error.status) from error
