"""`promptward feedback`: rate an answer, and what people said."""

import re
from typing import Any

import click

from app.cli.command import Session, common
from app.cli.exits import UserError

_NEGATIVE = re.compile(r"-(\d|\.\d)[\d.eE+-]*")


class _WithNegatives(click.Command):
    """A command that takes `-3` for a number and not for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.ignore_unknown_options = any(_NEGATIVE.fullmatch(arg) for arg in args)
        return super().parse_args(ctx, args)


@click.group()
def feedback() -> None:
    """Ratings of what was served."""


@feedback.command(cls=_WithNegatives)
@click.argument("signal")
@click.argument("value", type=float)
@click.option("--receipt", help="The receipt that came with the answer.")
@click.option("--inference", "inference_id", help="The answer's id, with a server's key.")
@click.option("--id", "own_id", metavar="ID", help="Your own id of the answer, together with --prompt.")
@click.option("--prompt", metavar="REF", help="The prompt that answered, such as docs/answer@7.")
@click.option("--unit", help="Whom the answer was for; kept as a keyed hash.")
@click.option("--rater", help="Who says so; kept as a keyed hash.")
@click.option("--comment", help="Kept with the rating.")
@click.option("--correction", help="What would have been right.")
@click.option("--tag", "tags", multiple=True, help="Kept with the rating, which can be found by it; may be repeated.")
@common
async def add(
    session: Session, signal: str, value: float, own_id: str | None, tags: tuple[str, ...], **given: str | None
) -> None:
    """Rate an answer: SIGNAL is thumbs (0 or 1), stars (1 to 5), score (0 to 1), or any name."""
    rating: dict[str, Any] = {"signal": signal, "value": value, "id": own_id, "tags": list(tags) or None, **given}
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
@click.option("--tag", help="Only ratings with this tag.")
@click.option("--since", metavar="TIME", help="RFC 3339, such as 2027-01-31T00:00:00Z.")
@common
async def summary(
    session: Session, prompt: str | None, by: str, signal: str | None, tag: str | None, since: str | None
) -> None:
    """Means and rates with two-sided 95 % intervals, of PROMPT (a name, or name@7) or of all."""
    async with session.client() as client:
        found = await client.feedback.summary(prompt, by=by, signal=signal, tag=tag, since=since)
    session.out.data(found)
    rows = [
        [r["key"], r["signal"], r["n"], r["raters"], _number(r["mean"]), _number(r["low"]), _number(r["high"]), r["method"]]
        for r in found["items"]
    ]  # fmt: skip
    session.out.table([by, "signal", ">ratings", ">raters", ">mean", ">low", ">high", "method"], rows)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
