"""`promptward feedback`: rate an answer, and what people said."""

import click

from app.cli.command import Session, common
from app.cli.exits import UserError


@click.group()
def feedback() -> None:
    """Ratings of what was served."""


@feedback.command()
@click.argument("signal")
@click.argument("value", type=float)
@click.option("--receipt", help="The receipt that came with the answer.")
@click.option("--inference", "inference_id", help="The answer's id, with a server's key.")
@click.option("--id", "own_id", metavar="ID", help="Your own id of the answer, together with --prompt.")
@click.option("--prompt", metavar="REF", help="The prompt that answered, such as docs/answer@7.")
@click.option("--rater", help="Who says so; kept as a keyed hash.")
@click.option("--comment", help="Kept with the rating.")
@click.option("--correction", help="What would have been right.")
@common
async def add(session: Session, signal: str, value: float, own_id: str | None, **given: str | None) -> None:
    """Rate an answer: SIGNAL is thumbs (0 or 1), stars (1 to 5), score (0 to 1), or any name."""
    rating = {"signal": signal, "value": value, "id": own_id, **given}
    if sum(rating[name] is not None for name in ("receipt", "inference_id", "id")) != 1:
        raise UserError("name the answer once: --receipt, --inference, or --id with --prompt")
    async with session.client() as client:
        kept = await client.feedback.add({name: part for name, part in rating.items() if part is not None})
    session.out.data(kept)
    counts = "counts in its rollout" if kept["in_rollout"] else "is reported"
    session.out.line(f"{kept['id']}: {kept['signal']} {kept['value']:g} of {kept['prompt']}@{kept['version']} {counts}")


@feedback.command()
@click.argument("prompt", required=False)
@click.option("--by", default="version", show_default=True, help="version, release, environment, endpoint or signal.")
@click.option("--signal", help="Only this one.")
@click.option("--since", metavar="TIME", help="RFC 3339, such as 2027-01-31T00:00:00Z.")
@common
async def summary(session: Session, prompt: str | None, by: str, signal: str | None, since: str | None) -> None:
    """Means and rates with two-sided 95 % intervals."""
    async with session.client() as client:
        found = await client.feedback.summary(prompt, by=by, signal=signal, since=since)
    session.out.data(found)
    rows = [
        [r["key"], r["signal"], r["n"], r["raters"], _number(r["mean"]), _number(r["low"]), _number(r["high"]), r["method"]]
        for r in found["items"]
    ]  # fmt: skip
    session.out.table([by, "signal", ">ratings", ">raters", ">mean", ">low", ">high", "method"], rows)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
