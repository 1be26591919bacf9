"""`promptward ship`: the files as they are, through the gate, to an environment."""

from typing import Any, NamedTuple

import click
from promptward import AsyncClient, PromptwardError
from promptward.shapes import Release

from app.cli.command import Session, common
from app.cli.connection import EMBEDDED_URL
from app.cli.exits import Exit, UserError
from app.cli.project import find_root, project_files
from app.cli.release import evaluated, exit_code, show

ORDER = (Exit.FAIL, Exit.TROUBLE, Exit.INCONCLUSIVE)


@click.command()
@click.argument("prompts", nargs=-1, metavar="[PROMPT]...")
@click.option("--env", "environment", default="production", show_default=True, help="Where it is to go live.")
@click.option("--endpoint", help="The endpoint that is released with it; by default the first of the prompt's suite.")
@click.option("--wait", is_flag=True, help="Until everything is evaluated, with the exit codes of `check`.")
@click.option("--notes", default="", help="Kept with the releases.")
@common
async def ship(
    session: Session, prompts: tuple[str, ...], environment: str, endpoint: str | None, wait: bool, notes: str
) -> int:
    """Sync the project's files, and ask for a release of every prompt of the environment that is not live as it is.

    A release opens by itself when its gate passes and nobody has to approve. With --wait: 0 it is served, 1 the gate failed,
    3 inconclusive or waiting for approval, 4 the evaluation did not finish.
    """
    files = [file.payload() for file in project_files(find_root())]
    async with session.client() as client:
        wait = wait or client.url == EMBEDDED_URL  # an embedded service ends with this command
        asked = Asked(environment, prompts, endpoint, notes, wait)
        releases = await shipped(session, client, files, asked)
    session.out.data({"environment": environment, "releases": releases})
    if not wait:
        return Exit.PASS
    codes = {Exit(exit_code(one)) for one in releases} - {Exit.PASS}
    return next((code for code in ORDER if code in codes), Exit.TROUBLE) if codes else Exit.PASS


class Asked(NamedTuple):
    environment: str
    prompts: tuple[str, ...] = ()
    endpoint: str | None = None
    notes: str = ""
    wait: bool = True


async def shipped(session: Session, client: AsyncClient, files: list[dict[str, str]], asked: Asked) -> list[Release]:
    """The releases that were made of these files; what is live as it is needs none."""
    releases: list[Release] = []
    synced: Any = await client.sync(files, "apply")
    for prompt, suites in _chosen(synced, asked.environment, asked.prompts).items():
        version = next(i["version"] for i in synced["items"] if (i["kind"], i["name"]) == ("prompts", prompt))
        where = asked.endpoint or await _first_endpoint(client, prompt, suites)
        made = await _released(client, asked.environment, f"{prompt}@{version}", where, asked.notes)
        if made is None:
            session.out.line(f"{prompt}@{version} on {where} is live in {asked.environment} already")
            continue
        if asked.wait:
            made = await evaluated(client, made["id"])
        releases.append(made)
        show(session.out, made)
    return releases


def _chosen(synced: dict[str, Any], environment: str, prompts: tuple[str, ...]) -> dict[str, list[str]]:
    """The environment's prompts, or those of them that were named, with their suites."""
    rules = (synced["environments"].get(environment) or {}).get("prompts") or {}
    if not rules:
        raise UserError(
            f"promptward.yaml names no prompts under environments.{environment}; "
            "say there which suites judge which prompt: {prompts: {<name>: {suites: [<suite>], policy: <policy>}}}"
        )
    if unknown := sorted(set(prompts) - set(rules)):
        raise UserError(f"environments.{environment} names no prompt {unknown[0]!r}; it has {', '.join(sorted(rules))}")
    files = {item["name"] for item in synced["items"] if item["kind"] == "prompts"}
    if lacking := sorted(set(prompts or rules) - files):
        raise UserError(f"environments.{environment} names the prompt {lacking[0]!r}, which has no file")
    return {name: rules[name]["suites"] for name in rules if not prompts or name in prompts}


async def _first_endpoint(client: AsyncClient, prompt: str, suites: list[str]) -> str:
    for ref in suites:
        name, _, version = ref.partition("@")
        suite = await client.artifacts("suites").get(name, version or None)
        if endpoints := suite["content"].get("endpoints"):
            return str(endpoints[0])
    raise UserError(f"no suite of {prompt!r} names an endpoint: say which one is released with it, --endpoint NAME")


async def _released(client: AsyncClient, environment: str, prompt: str, endpoint: str, notes: str) -> Release | None:
    """The release that was made; None when exactly this content is live."""
    try:
        return await client.releases.create(environment, prompt, endpoint, notes=notes)
    except PromptwardError as error:
        if error.slug == "conflict":
            return None
        raise
