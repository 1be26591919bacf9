"""`promptward ship`: the files as they are, through the gate, to an environment."""

from typing import Any, Literal, NamedTuple

import click
from promptward import AsyncClient, PromptwardError
from promptward.shapes import Release

from app.cli import exits
from app.cli.command import Session, allow_code, common
from app.cli.connection import EMBEDDED_URL
from app.cli.exits import Exit, UserError
from app.cli.project import find_root, project_files
from app.cli.release import deciding, described, evaluated, exit_code, show

ORDER = (Exit.FAIL, Exit.TROUBLE, Exit.BUDGET, Exit.USAGE, Exit.INCONCLUSIVE)
"""Of several prompts the worst exit code counts."""
ON_ITS_WAY = "evaluating,awaiting_approval,rolling_out,paused"


@click.command()
@click.argument("prompts", nargs=-1, metavar="[PROMPT]...")
@click.option("--env", "environment", default="production", show_default=True, help="Where it is to go live.")
@click.option("--endpoint", help="The endpoint that is released with it; by default the first of the prompt's suite.")
@click.option("--wait", is_flag=True, help="Until everything is evaluated, with the exit codes of `check`.")
@click.option("--notes", default="", help="Kept with the releases.")
@allow_code
@common
async def ship(
    session: Session, prompts: tuple[str, ...], environment: str, endpoint: str | None, wait: bool, notes: str
) -> int:
    """Sync the project's files, and ask for a release of every prompt of the environment that is not live as it is.

    A release opens by itself when its gate passes and nobody has to approve. What is on its way already is not asked for
    again. With --wait: 0 it is served, 1 the gate failed, 3 inconclusive or waiting for approval, 4 the evaluation did not
    finish; of several prompts the worst. 3 also where another release of the prompt has to be decided first.
    """
    files = [file.payload() for file in project_files(find_root())]
    async with session.client() as client:
        wait = wait or client.url == EMBEDDED_URL  # an embedded service ends with this command
        asked = Asked(environment, prompts, endpoint, notes, wait)
        found = await shipped(session, client, files, asked)
    releases = [one.release for one in found if one.release is not None]
    session.out.data({"environment": environment, "releases": releases, "prompts": [one.told() for one in found]})
    codes = {one.code for one in found} - {Exit.PASS}
    return next((code for code in ORDER if code in codes), Exit.TROUBLE) if codes else Exit.PASS


class Asked(NamedTuple):
    environment: str
    prompts: tuple[str, ...] = ()
    endpoint: str | None = None
    notes: str = ""
    wait: bool = True


class Shipped(NamedTuple):
    """What became of one prompt. `released`: a release was made; `on_its_way`: one of exactly this content was there;
    `live`: it is live as it is; `held`: `other` release of this prompt has to be decided first; `refused`: `detail`."""

    prompt: str
    outcome: Literal["released", "on_its_way", "live", "held", "refused"]
    code: int
    release: Release | None = None
    detail: str = ""
    other: str | None = None

    def told(self) -> dict[str, Any]:
        """As JSON says it; the releases themselves are said apart."""
        release = None if self.release is None else self.release["id"]
        return {**self._asdict(), "code": int(self.code), "release": release}


async def shipped(session: Session, client: AsyncClient, files: list[dict[str, str]], asked: Asked) -> list[Shipped]:
    """What became of every prompt of these files. One that is refused keeps none of the others from being asked for."""
    synced: Any = await client.sync(files, "apply")
    found: list[Shipped] = []
    for name, suites in _chosen(synced, asked.environment, asked.prompts).items():
        version = next(i["version"] for i in synced["items"] if (i["kind"], i["name"]) == ("prompts", name))
        prompt = f"{name}@{version}"
        try:
            where = asked.endpoint or await _first_endpoint(client, name, suites)
            one = await _shipped(client, asked, prompt, where)
        except (PromptwardError, UserError) as error:
            one = Shipped(prompt, "refused", exits.exit_code(error), detail=error.detail)
            session.out.note(f"error: {prompt}: {error.detail}")
        if one.release is not None:
            show(session.out, one.release)
        elif one.outcome != "refused":
            session.out.line(one.detail)
        found.append(one)
    return found


async def _shipped(client: AsyncClient, asked: Asked, prompt: str, endpoint: str) -> Shipped:
    """Asks for the release, or finds out why there is none to ask for."""
    outcome: Literal["released", "on_its_way"] = "released"
    try:
        made = await client.releases.create(asked.environment, prompt, endpoint, notes=asked.notes)
    except PromptwardError as error:
        if error.slug not in ("already-live", "release-state", "release-on-its-way"):
            raise
        name = prompt.partition("@")[0]
        page = await client.releases.list(environment=asked.environment, prompt=name, state=ON_ITS_WAY, limit=1)
        other = page["items"][0] if page["items"] else None
        if error.slug == "already-live":
            return _live(prompt, endpoint, asked.environment, other)
        if other is None:  # it has ended since; what is to be done now is for the next `ship` to find out
            raise
        if error.slug == "release-state":
            detail = (
                f"{prompt} on {endpoint} was not asked for: {described(other)}, and only one is on its way at a time"
            )
            return Shipped(
                prompt,
                "held",
                Exit.INCONCLUSIVE,
                detail=f"{detail}; decide it with {deciding(other)}",
                other=other["id"],
            )
        outcome, made = "on_its_way", await client.releases.get(other["id"])
    if not asked.wait:
        return Shipped(prompt, outcome, Exit.PASS, made)
    made = await evaluated(client, made["id"])
    return Shipped(prompt, outcome, exit_code(made), made)


def only(found: list[Shipped]) -> Release:
    """The release of the one prompt that was shipped; `UserError` says why there is none."""
    [one] = found
    if one.release is None:
        raise UserError(one.detail)
    return one.release


def _live(prompt: str, endpoint: str, environment: str, other: Release | None) -> Shipped:
    detail = f"{prompt} on {endpoint} is live in {environment} already"
    if other is None:
        return Shipped(prompt, "live", Exit.PASS, detail=detail)
    # It may be replaced at any moment, so that a job that wants it live has not got that yet.
    detail = f"{detail}, but {described(other)}; decide it with {deciding(other)}"
    return Shipped(prompt, "held", Exit.INCONCLUSIVE, detail=detail, other=other["id"])


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
