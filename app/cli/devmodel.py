"""`promptward devmodel`: the offline stand-in for a model."""

import asyncio
import signal
from typing import Any

import click

from app.cli.command import Session, common
from app.cli.exits import UserError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8100, show_default=True, help="0 takes a free one.")
@click.option("--latency-ms", type=float, default=0.0, show_default=True, help="Waited before each answer.")
@click.option("--chunk-ms", type=float, default=0.0, show_default=True, help="Waited between the chunks of a stream.")
@click.option("--rate-limit", type=float, help="Requests per minute; 429 above it.")
@click.option("--fail-rate", type=float, default=0.0, show_default=True, help="Share of the requests that fail.")
@click.option("--fail-kind", default="500", show_default=True, help="How: an HTTP status, timeout, truncated, html …")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides which requests fail.")
@click.option("--api-key", help="Ask for this key.")
@click.option(
    "--batch-polls", type=click.IntRange(min=0), default=1, show_default=True, help="Looks until a batch ends."
)
@click.option("--batch-fault", help="What goes wrong with batches: failed, expired, missing or lines.")
@common
async def devmodel(session: Session, host: str, port: int, **conditions: Any) -> None:
    """Run a small OpenAI-compatible server for offline use. It is NOT a language model.

    It picks sentences out of the context in the prompt, judges by overlap of words, and calls tools by their
    description. Models: dev-large, dev-small, dev-echo, dev-embed.
    """
    from app.main import running_devmodel

    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        async with running_devmodel(host, port, **conditions) as url:
            session.out.data({"url": url})
            session.out.line(f"The development model answers at {url}. It is not a language model.")
            await ended.wait()
    except ValueError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"{host}:{port} cannot be listened on: {error.strerror or error}") from error
