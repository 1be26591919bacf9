"""`promptward release`: ask for a release, look at it, decide about it."""

from collections.abc import Callable
from typing import Any

import click
from promptward import AsyncClient
from promptward.shapes import Release

from app.cli.command import Session, common
from app.cli.connection import EMBEDDED_URL
from app.cli.exits import Exit, UserError
from app.cli.output import Output

WAIT_S = 600.0
SHORT_REASON = 60
"""Characters; the timeline says a longer one only when it is not said above it."""
STYLES = {"live": "green", "rolling_out": "cyan", "blocked": "red", "rolled_back": "red", "paused": "yellow"}
CHANGED: dict[str, str] = {
    "approve": "Approve a release that waits for it; never your own.",
    "reject": "Refuse a release that is not yet served.",
    "promote": "The next step of the rollout now.",
    "pause": "Stay at this share until somebody resumes.",
    "resume": "Go on with a paused rollout; what paused it is overruled.",
    "rollback": "End a rollout, or put the predecessor back.",
}
DECIDING = {
    "evaluating": ("reject",),
    "awaiting_approval": ("approve", "reject"),
    "rolling_out": ("promote", "rollback"),
    "paused": ("resume", "rollback"),
}


@click.group()
def release() -> None:
    """Releases: what goes live, and what became of it."""


@release.command()
@click.argument("prompt")
@click.option("--env", "environment", default="production", show_default=True, help="Where it is to go live.")
@click.option("--endpoint", required=True, help="The endpoint that is released with it.")
@click.option("--rag-config", help="A reference; the prompt's own when left out.")
@click.option("--tool-config", help="A reference; the prompt's own when left out.")
@click.option("--run", help="A finished run to offer as evidence.")
@click.option(
    "--step", "steps", type=float, multiple=True, metavar="SHARE", help="A share of the rollout; several times."
)
@click.option("--at-once", is_flag=True, help="No rollout: everybody when the gate passes.")
@click.option("--notes", default="", help="Kept with the release.")
@click.option("--wait", is_flag=True, help="Until it is evaluated, with the exit codes of `check`.")
@common
async def create(
    session: Session,
    prompt: str,
    environment: str,
    endpoint: str,
    rag_config: str | None,
    tool_config: str | None,
    run: str | None,
    steps: tuple[float, ...],
    at_once: bool,
    notes: str,
    wait: bool,
) -> int:
    """Ask for exactly this PROMPT (name@7) to go live."""
    if steps and at_once:
        raise UserError("--step and --at-once contradict each other")
    rest: dict[str, Any] = {"notes": notes}
    if rag_config is not None:
        rest["rag_config"] = rag_config
    if tool_config is not None:
        rest["tool_config"] = tool_config
    if run is not None:
        rest["run"] = run
    if steps or at_once:
        rest["rollout"] = {"steps": list(steps)} if steps else None
    async with session.client() as client:
        wait = wait or client.url == EMBEDDED_URL  # an embedded service ends with this command
        made = await client.releases.create(environment, prompt, endpoint, **rest)
        if wait:
            made = await evaluated(client, made["id"])
    session.out.data(made)
    show(session.out, made)
    return exit_code(made) if wait else Exit.PASS


@release.command("list")
@click.option("--env", "environment", help="Only of this environment.")
@click.option("--prompt", help="Only of this prompt.")
@click.option("--state", help="Only in this state; several with commas.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@common
async def list_releases(
    session: Session, environment: str | None, prompt: str | None, state: str | None, limit: int
) -> None:
    """Releases, newest first."""
    async with session.client() as client:
        page = await client.releases.list(environment=environment, prompt=prompt, state=state, limit=limit)
    session.out.data(page)
    rows = [
        [r["id"], r["environment"], r["prompt"], r["endpoint"], r["state"], f"{100 * r['share']:g} %", r["verdict"], r["created_by"]]
        for r in page["items"]
    ]  # fmt: skip
    session.out.table(["id", "environment", "prompt", "endpoint", "state", ">share", "verdict", "by"], rows)


@release.command("show")
@click.argument("release_id", metavar="ID")
@common
async def show_release(session: Session, release_id: str) -> None:
    """One release: its evidence, what its ratings say, and everything that happened."""
    async with session.client() as client:
        found = await client.releases.get(release_id)
    session.out.data(found)
    show(session.out, found)


@release.command()
@click.argument("release_id", metavar="ID")
@click.option("--reason", default="", help="Kept with the release.")
@click.option("--run", help="A finished run to offer as evidence.")
@common
async def evaluate(session: Session, release_id: str, reason: str, run: str | None) -> int:
    """Evaluate a blocked release again, by what the environment asks for now."""
    async with session.client() as client:
        await client.releases.evaluate(release_id, reason=reason, run=run)
        found = await evaluated(client, release_id)
    session.out.data(found)
    show(session.out, found)
    return exit_code(found)


def _act(name: Any, text: str) -> Callable[..., Any]:
    @click.argument("release_id", metavar="ID")
    @click.option("--reason", default="", help="Kept with the release.")
    @common
    async def command(session: Session, release_id: str, reason: str, **options: bool) -> None:
        async with session.client() as client:
            found = await client.releases.act(release_id, name, reason=reason, **options)  # type: ignore[arg-type]
        session.out.data(found)
        session.out.line(f"{found['id']} is {found['state']} ({100 * found['share']:g} %)")

    command.__doc__ = text
    return command


for _name, _text in CHANGED.items():
    _command = release.command(_name, help=_text)(_act(_name, _text))
    if _name == "approve":
        _risk = click.Option(["--accept-risk"], is_flag=True, help="Let an inconclusive release through; say why.")
        _command.params.insert(1, _risk)


async def evaluated(client: AsyncClient, release_id: str) -> Release:
    """The release, once it is evaluated."""
    found = await client.releases.get(release_id, wait=WAIT_S)
    while found["state"] == "evaluating":
        found = await client.releases.get(release_id, wait=WAIT_S)
    return found


def exit_code(found: Release) -> int:
    """`check`'s exit codes: what is served passed; what waits for people, or for something else, holds."""
    if found["state"] in ("rolling_out", "live"):
        return Exit.PASS
    return found["exit_code"] or Exit.INCONCLUSIVE


def described(found: Release) -> str:
    """Which release it is, and where it stands."""
    share = f" at {100 * found['share']:g} %" if found["state"] in ("rolling_out", "paused") else ""
    return (
        f"release {found['id']} ({found['prompt']} on {found['endpoint']}) is {found['state'].replace('_', ' ')}{share}"
    )


def deciding(found: Release) -> str:
    """The commands that decide what becomes of a release that is on its way."""
    acts = DECIDING.get(found["state"], ("show",))
    return " or ".join(f"`promptward release {act} {found['id']}`" for act in acts)


def show(out: Output, found: Release) -> None:
    out.styled(
        f"{found['id']}  {found['environment']}  {found['prompt']} on {found['endpoint']}: {found['state']}"
        + (f" at {100 * found['share']:g} %" if found["state"] in ("rolling_out", "paused") else ""),
        STYLES.get(found["state"], ""),
    )
    out.line(f"  content   {found['bundle']}")
    verdicts = found.get("verdicts", [])
    judged = "; ".join(f"{v['suite']}: {v['headline']}" for v in verdicts if v["exit_code"] != Exit.PASS)
    if found["reason"] and found["reason"] != judged:
        out.line(f"  because   {found['reason']}")
    for verdict in verdicts:
        out.line(f"  evidence  {verdict['suite']} by {verdict['policy']}: {verdict['headline']} ({verdict['run']})")
    if (needed := found.get("approvals_needed")) and found["state"] == "awaiting_approval":
        given = ", ".join(approval["by"] for approval in found["approvals"]) or "nobody yet"
        out.line(f"  approvals {len(found['approvals'])} of {needed} ({given})")
    for line in said_of_rollout(found.get("rollout_verdict")):
        out.line(f"  ratings   {line}")
    for event in found.get("timeline", []):
        share = "" if event["share"] is None else f"{100 * event['share']:g} %"
        moved = event["to"] if event["from"] == event["to"] else f"{event['from'] or 'new'} -> {event['to']}"
        text = f"  {event['at'][:19]}  {moved:<34} {share:>6}  {event['by']}"
        said = event["reason"] == judged or (event["reason"] == found["reason"] and len(event["reason"]) > SHORT_REASON)
        out.line(text if said else f"{text}  {event['reason']}".rstrip())


def said_of_rollout(verdict: dict[str, Any] | None) -> list[str]:
    """What each rollout rule says, with interval and flip cost."""
    if verdict is None:
        return []
    lines = []
    for rule in verdict["rules"]:
        cost = rule["flip_cost"] or {}
        turned = [f"{cost[way]} {way}s" for way in ("removal", "reversal") if cost.get(way) is not None]
        flips = f"; would be otherwise after {' or '.join(turned)}" if turned else ""
        lines.append(f"{rule['signal'] or rule['rule']}: {rule['verdict']}, {rule['reason']}{flips}")
    return [*lines, f"together: {verdict['action'].replace('_', ' ')}"]
