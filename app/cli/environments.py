"""`promptward environments`: where things go live, and by which rules."""

import click

from app.cli.command import Session, common


@click.command()
@click.argument("name", required=False)
@common
async def environments(session: Session, name: str | None) -> None:
    """The environments and their rules, or those of one."""
    async with session.client() as client:
        found = [await client.environments.get(name)] if name else (await client.environments.list())["items"]
    session.out.data(found[0] if name else found)
    for environment in found:
        session.out.line(environment["name"])
        for prompt, needs in environment["prompts"].items():
            policy = needs["policy"] or "each suite's own"
            session.out.line(f"  {prompt}: suites {', '.join(needs['suites']) or 'none'}; policy {policy}")
        steps = ", ".join(f"{100 * share:g} %" for share in (environment["rollout"] or {}).get("steps", []))
        session.out.line(f"  rollout: {steps or 'everybody at once'}; approvals: {environment['approvals'] or 'none'}")
