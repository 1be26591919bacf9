import click
from promptward import PromptwardError

from app.cli.artifacts import split
from app.cli.command import Session, common
from app.cli.output import dollars

PROBE = {
    "content": {"messages": [{"role": "user", "content": "Reply with the word OK."}], "params": {"max_tokens": 16}}
}


@click.group()
def endpoints() -> None:
    """Try model endpoints."""


@endpoints.command("test")
@click.argument("name", metavar="REF")
@common
async def test(session: Session, name: str) -> None:
    """Make one small call to an endpoint, and say what came back."""
    split(name)
    async with session.client() as client:
        try:
            answer = await client.generate(PROBE, name)
        except PromptwardError as error:
            if error.slug == "upstream":
                session.out.note(f"{name} does not work")
            raise
    session.out.data({"endpoint": name, **answer})
    usage = answer["usage"] or {}
    session.out.fields(
        [
            ("endpoint", name),
            ("status", answer["status"]),
            ("model", answer["model"]),
            ("text", answer["text"]),
            ("error", answer["error"]),
            ("latency", None if answer["latency_ms"] is None else f"{answer['latency_ms']:.0f} ms"),
            ("tokens", f"{usage['prompt_tokens']} + {usage['completion_tokens']}" if usage else None),
            ("cost", None if answer["cost_usd"] is None else dollars(answer["cost_usd"])),
        ]
    )
