"""`promptward schedules`, `leaderboard` and `drift`: evaluations that nobody starts by hand, and what they say over time."""

from typing import Any

import click

from app.cli.command import Session, allow_code, common
from app.cli.exits import Exit
from app.cli.output import dollars, share
from app.cli.progress import follow
from app.cli.run_report import exit_code
from app.cli.run_report import told as cells

name_argument = click.argument("name", metavar="SCHEDULE")


@click.group()
def schedules() -> None:
    """Recurring evaluations, and sentinels for new endpoints. They are declared in promptward.yaml."""


@schedules.command("list")
@common
async def list_schedules(session: Session) -> None:
    """List schedules: when each is due, and what became of it last."""
    async with session.client() as client:
        found = (await client.schedules.list())["items"]
    session.out.data(found)
    rows = [[s["name"], _when(s["definition"]), _suites(s["definition"]), _due(s), _told(s["last"])] for s in found]
    session.out.table(["schedule", "when", "suites", "next", "last"], rows)


@schedules.command("show")
@name_argument
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many of its times.")
@common
async def show_schedule(session: Session, name: str, limit: int) -> None:
    """Show a schedule, and what became of the times at which it was due."""
    async with session.client() as client:
        found = await client.schedules.get(name)
        runs = (await client.schedules.runs(name, limit=limit))["items"]
    session.out.data({**found, "runs": runs})
    session.out.line(f"{found['name']}: {_when(found['definition'])}; next {_due(found)}")
    session.out.yaml(found["definition"])
    _table(session, runs)


@schedules.command("run")
@name_argument
@click.option("--endpoint", help="For a sentinel: the endpoint to evaluate.")
@allow_code
@common
async def run_schedule(session: Session, name: str, endpoint: str | None) -> int:
    """Run a schedule now, due or not, and wait for it."""
    codes, told = [Exit.PASS], []
    async with session.client() as client:
        made = (await client.schedules.run(name, endpoint=endpoint))["items"]
        for one in made:
            if one["run"] is None:
                codes.append(Exit.TROUBLE)
                session.out.line(f"{one['suite']}: {one['state']}: {one['reason']}")
                told.append({**one, "status": None})
                continue
            found = await follow(session, client, one["run"], one["suite"])
            codes.append(exit_code(found))
            session.out.line(f"{one['suite']}: {one['run']} {found['status']}: {cells(found['cells'])}")
            told.append({**one, "status": found["status"]})
    session.out.data(told)
    return max(codes)


@schedules.command()
@name_argument
@common
async def enable(session: Session, name: str) -> None:
    """Switch a schedule on."""
    await _switch(session, name, on=True)


@schedules.command()
@name_argument
@common
async def disable(session: Session, name: str) -> None:
    """Switch a schedule off; what it began runs on."""
    await _switch(session, name, on=False)


@schedules.command("delete")
@name_argument
@common
async def delete_schedule(session: Session, name: str) -> None:
    """Take a schedule away. Its runs stay."""
    async with session.client() as client:
        await client.schedules.delete(name)
    session.out.data({"deleted": name})
    session.out.line(f"{name}: deleted")


@click.command()
@click.argument("suite")
@click.option("--metric", help="By default the suite's first score.")
@click.option("--since", help="Only runs from then on, such as 2027-01-31T00:00:00Z.")
@common
async def leaderboard(session: Session, suite: str, metric: str | None, since: str | None) -> None:
    """Endpoints and prompts side by side on one suite, the best first."""
    async with session.client() as client:
        board = await client.schedules.leaderboard(suite, metric=metric, since=since)
    session.out.data(board)
    rows = []
    for place in board["places"]:
        latest = place["latest"]
        interval = f"{share(latest['low'])} to {share(latest['high'])}"
        figures = [share(latest["mean"]), interval, latest["n"], dollars(place["cost_per_cell_usd"])]
        latency = None if place["latency_ms"] is None else round(place["latency_ms"])
        rows.append([place["endpoint"], latest["prompt"], *figures, latency, len(place["history"]), latest["at"]])
    columns = ["endpoint", "prompt", f">{board['metric'] or 'mean'}", ">interval", ">n", ">cost a cell", ">ms", ">runs"]
    session.out.table([*columns, "last"], rows)
    if any(not place["same_data"] for place in board["places"]):
        session.out.note("some of these were last run on other cases than the newest run, and are no fair comparison")


@click.command()
@click.argument("suite")
@click.option("--endpoint", help="Only this endpoint.")
@common
async def drift(session: Session, suite: str, endpoint: str | None) -> int:
    """Whether the same content, asked afresh on the same cases, answers as it did. The exit code is 10 when it does not."""
    async with session.client() as client:
        found = await client.schedules.drift(suite, endpoint=endpoint)
    session.out.data(found)
    for series in found["series"]:
        first, last = series["samples"][0]["at"], series["samples"][-1]["at"]
        runs = len(series["samples"])
        session.out.line(
            f"{series['prompt']} on {series['endpoint']}: {runs} fresh runs of {series['cases']} cases, {first} to {last}"
        )
        if runs == 1:
            session.out.line("  nothing to compare with yet")
        for change in series["changed"] or ([] if runs == 1 else ["no change is shown"]):
            session.out.line(f"  {change}")
    if not found["series"]:
        session.out.note(f"no fresh run of {suite} is done; a schedule with `fresh: true` makes them")
    return Exit.DIFFERENT if found["drifted"] else Exit.PASS


async def _switch(session: Session, name: str, *, on: bool) -> None:
    async with session.client() as client:
        changed = await client.schedules.change(name, {"enabled": on})
    session.out.data(changed)
    session.out.line(f"{name}: {'on; next ' + _due(changed) if on else 'off'}")


def _when(definition: dict[str, Any]) -> str:
    if "on" in definition:
        return "a new endpoint"
    return f"{definition['cron']} ({definition.get('timezone', 'UTC')})"


def _suites(definition: dict[str, Any]) -> list[str]:
    return [*([definition["suite"]] if "suite" in definition else []), *definition.get("suites", [])]


def _due(schedule: dict[str, Any]) -> str:
    if not schedule["enabled"]:
        return "off"
    return schedule["next_at"] or "when one is registered"


def _told(run: dict[str, Any] | None) -> str:
    if run is None:
        return "never run"
    state = run["outcome"]["status"] if run["outcome"] else run["state"]
    return f"{run['due_at']}: {state}"


def _table(session: Session, runs: list[dict[str, Any]]) -> None:
    rows = []
    for run in runs:
        compared = [
            f"{metric['metric']} {metric['difference']:+.3f} ({share(metric['low'])} to {share(metric['high'])})"
            for one in (run["outcome"] or {}).get("comparisons", [])
            for metric in one["metrics"]
            if metric["difference"] is not None
        ]
        cost = dollars(run["outcome"]["cost_usd"]) if run["outcome"] else None
        about = run["reason"] or "; ".join(compared)
        what = run["suite"] if run["endpoint"] is None else f"{run['suite']} on {run['endpoint']}"
        rows.append([run["due_at"], what, _told(run).rpartition(": ")[2], run["run"], cost, about])
    session.out.table(["due at", "suite", "state", "run", ">cost", "what it says"], rows)
