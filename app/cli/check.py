"""`promptward check`: judge the files as they are against what is live, or against the files at the merge base."""

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

import click
from promptward import AsyncClient, PromptwardError

from app.cli import baseline as baselines
from app.cli.check_report import Check, Flip, Report, as_json, junit, markdown, text
from app.cli.command import Session, allow_code
from app.cli.exits import Exit, UserError
from app.cli.progress import follow
from app.cli.project import File, find_root, project_files

STDOUT = Path("-")
MAX_FLIPS = 50
report_file = click.Path(path_type=Path, allow_dash=True, dir_okay=False)


class Target(NamedTuple):
    """A prompt and one suite that judges it, as the project's environment says."""

    prompt: str
    suite: str
    policy: str


class Baseline(NamedTuple):
    """What is compared with: a reference per prompt (None: nothing is there), and how the report calls it."""

    refs: dict[str, str | None]
    title: str


class Options(NamedTuple):
    suites: tuple[str, ...]
    everything: bool
    against: str | None
    base: str | None
    environment: str
    budget: float | None


@click.command()
@click.option("--suite", "suites", multiple=True, metavar="NAME", help="Only this suite; may be given several times.")
@click.option("--all", "everything", is_flag=True, help="Also prompts that did not change.")
@click.option("--against", metavar="REF|live|FILE", help="A registry reference, what is live, or a saved file.")
@click.option("--base", metavar="BRANCH", help="The files at the merge base with this branch.")
@click.option("--environment", default="production", show_default=True, help="Whose suites and policies apply.")
@click.option("--budget", type=click.FloatRange(min=0), metavar="USD", help="Stop a run at this cost.")
@click.option("--save-baseline", type=report_file, metavar="FILE", help="Keep these files for a later --against.")
@click.option("--json", "json_file", type=report_file, metavar="FILE", help="Write a JSON report (- for stdout).")
@click.option("--junit", "junit_file", type=report_file, metavar="FILE", help="Write a JUnit report (- for stdout).")
@click.option(
    "--markdown", "markdown_file", type=report_file, metavar="FILE", help="Write a Markdown report (- for stdout)."
)
@allow_code
@click.option("--debug", is_flag=True, help="Show a traceback when something goes wrong.")
def check(
    save_baseline: Path | None,
    json_file: Path | None,
    junit_file: Path | None,
    markdown_file: Path | None,
    debug: bool,
    allow_code: bool,
    **options: Any,
) -> int:
    """Judge the files as they are, for CI.

    The candidate is every prompt of the environment as it lies in the folder. The baseline is what is live on the server
    (PROMPTWARD_URL), or without a server the files at the merge base with the main branch.

    Exit codes: 0 pass, 1 fail, 2 usage or configuration, 3 inconclusive where the policy holds, 4 the evaluation did not
    finish, 5 budget.
    """
    del debug  # read by the outermost place
    root = find_root()
    files = project_files(root)
    session = Session(as_json=False, allow_code=allow_code)
    report = asyncio.run(_check(session, root, files, Options(**options)))
    if save_baseline is not None:
        baselines.save(save_baseline, files)
    written = ((json_file, as_json), (junit_file, junit), (markdown_file, markdown))
    if all(path != STDOUT for path, _ in written):
        text(report, session.out)
    for path, render in written:
        if path == STDOUT:
            click.echo(render(report), nl=False)
        elif path is not None:
            path.write_text(render(report), encoding="utf-8")
    return report.exit_code


async def _check(session: Session, root: Path, files: list[File], options: Options) -> Report:
    async with session.client() as client:
        drafts: Any = await client.sync([file.payload() for file in files], mode="draft")
        candidates = _digests(drafts)
        targets = _targets(drafts, options)
        baseline = await _baseline(session, client, root, options, sorted({t.prompt for t in targets}))
        changed = [
            t
            for t in targets
            if options.everything or not _same(candidates["prompts", t.prompt], baseline.refs[t.prompt])
        ]
        checks = [await _judge(session, client, target, candidates, baseline, options.budget) for target in changed]
    unchanged = sorted({t.prompt for t in targets} - {t.prompt for t in changed})
    return Report(baseline.title, checks, unchanged)


def _digests(drafts: dict[str, Any]) -> dict[tuple[str, str], str]:
    """(kind, name) -> `name@sha256:…` of everything in the files."""
    return {
        (item["kind"], item["name"]): f"{item['name']}@{item['digest']}"
        for item in drafts["items"]
        if item.get("digest")
    }


def _targets(drafts: dict[str, Any], options: Options) -> list[Target]:
    environment = drafts["environments"].get(options.environment)
    if not environment or not environment.get("prompts"):
        raise UserError(
            f"promptward.yaml names no prompts under environments.{options.environment}; "
            "say there which suites judge which prompt: {prompts: {<name>: {suites: [<suite>], policy: <policy>}}}"
        )
    known = {item["name"]: item for item in drafts["items"] if item["kind"] == "suites"}
    prompts = {item["name"] for item in drafts["items"] if item["kind"] == "prompts"}
    targets = []
    for prompt, rules in environment["prompts"].items():
        if prompt not in prompts:
            raise UserError(
                f"promptward.yaml: environments.{options.environment} names the prompt {prompt!r}, which has no file"
            )
        for suite in rules["suites"]:
            name = suite.partition("@")[0]
            if name not in known:
                raise UserError(
                    f"promptward.yaml: environments.{options.environment}.prompts.{prompt} names the suite {suite!r}, which has no file"
                )
            if options.suites and name not in options.suites:
                continue
            policy = rules.get("policy") or known[name]["content"].get("policy")
            if policy is None:
                raise UserError(
                    f"neither environments.{options.environment}.prompts.{prompt} nor the suite {name!r} names a policy"
                )
            targets.append(Target(prompt, name, policy))
    if missing := set(options.suites) - {t.suite for t in targets}:
        raise UserError(
            f"--suite {min(missing)}: environments.{options.environment} has no such suite; it has {', '.join(sorted(known))}"
        )
    return targets


async def _baseline(
    session: Session, client: AsyncClient, root: Path, options: Options, prompts: list[str]
) -> Baseline:
    against = options.against
    if against is not None and options.base is not None:
        raise UserError("give --against or --base, not both")
    if against is None and options.base is None and session.settings.url is not None:
        against = "live"
    if against == "live":
        refs = {prompt: await _resolved(client, f"{prompt}@{options.environment}") for prompt in prompts}
        return Baseline(refs, f"what is live in {options.environment}")
    if against is not None and Path(against).is_file():  # noqa: ASYNC240 - one look, before anything else runs
        return await _from_files(client, baselines.saved(Path(against)), against, prompts)
    if against is not None:
        if len(prompts) != 1:
            raise UserError(
                f"--against {against}: it names one prompt, and {len(prompts)} are judged; choose one with --suite"
            )
        ref = await _resolved(client, against)
        if ref is None:
            raise UserError(f"--against {against}: neither a file nor a version in the registry")
        return Baseline({prompts[0]: ref}, against)
    found = baselines.merge_base(root, options.base)
    if found is None:
        return Baseline(dict.fromkeys(prompts), "nothing (there is no earlier commit)")
    return await _from_files(client, found.files, found.title, prompts)


async def _from_files(client: AsyncClient, files: list[File], title: str, prompts: list[str]) -> Baseline:
    if not files:
        return Baseline(dict.fromkeys(prompts), f"{title}, which had no project")
    try:
        drafts: Any = await client.sync([file.payload() for file in files], mode="draft")
    except PromptwardError as error:
        raise UserError(f"{title} cannot be read as a project: {error.detail}", list(error.errors)) from error
    known = _digests(drafts)
    return Baseline({prompt: known.get(("prompts", prompt)) for prompt in prompts}, title)


async def _resolved(client: AsyncClient, ref: str) -> str | None:
    """`name@sha256:…` of a reference; None when it stands for nothing."""
    name, _, version = ref.partition("@")
    try:
        found = await client.prompts.get(name, version or None)
    except PromptwardError as error:
        if error.slug == "not-found":
            return None
        raise
    return f"{name}@{found['digest']}"


def _same(candidate: str, baseline: str | None) -> bool:
    return baseline is not None and candidate.rpartition("@")[2] == baseline.rpartition("@")[2]


async def _judge(
    session: Session,
    client: AsyncClient,
    target: Target,
    candidates: dict[tuple[str, str], str],
    baseline: Baseline,
    budget: float | None,
) -> Check:
    """Runs both sides and asks for the verdict; while more repeats could decide, adds them (answers known are not called)."""
    before = baseline.refs[target.prompt]
    policy = candidates.get(("gate-policies", target.policy), target.policy)
    repeats, spent = None, 0.0
    while True:
        started = await client.runs.create(
            candidates["suites", target.suite],
            [{"prompt": candidates["prompts", target.prompt]}],
            baseline=None if before is None else {"prompt": before},
            repeats=repeats,
            priority="high",  # somebody waits for it, and nobody for what runs at night
            budget_usd=None if budget is None else max(0.0, budget - spent),
        )
        run = await follow(session, client, started["id"], f"{target.prompt} on {target.suite}")
        spent += run["cost_usd"]
        verdict: dict[str, Any] = dict(
            await client.gates.evaluate(
                policy, "ci", f"{run['id']}/c1", baseline=None if before is None else f"{run['id']}/baseline"
            )
        )
        if run["status"] == "budget":
            verdict["exit_code"] = int(Exit.BUDGET)
        extension = verdict.get("extend")
        if run["status"] != "done" or extension is None:
            break
        repeats = extension["repeats"]
    metrics: list[dict[str, Any]] = []
    flips: list[Flip] = []
    if before is not None:
        comparison: dict[str, Any] = dict(await client.runs.comparison(run["id"], candidate="c1", baseline="baseline"))
        metrics, flips = comparison["metrics"], await flips_of(client, run["id"], comparison)
    lost = await _lost(client, run)
    return Check(target.prompt, target.suite, run["id"], run["status"], verdict, metrics, flips, spent, lost)


async def _lost(client: AsyncClient, run: Any) -> str:
    """What kept cells from an answer, with one of the messages; empty when nothing did."""
    if not run["errors"]:
        return ""
    page = await client.runs.results(run["id"], status="errored", limit=1)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(run["errors"].items()))
    return f"{run['cells']['errored']} of {run['cells']['planned']} cells have no answer ({kinds}): {page['items'][0]['error']}"


async def flips_of(client: AsyncClient, run_id: str, comparison: dict[str, Any]) -> list[Flip]:
    """The cases that changed sides, endpoint by endpoint, worst first, with both answers."""
    flips = []
    for candidate, baseline in comparison["paired"]:
        pair = await client.runs.comparison(run_id, candidate=candidate, baseline=baseline)
        listed = sorted(pair["flips"], key=lambda f: (f["to"] - f["from"], f["case"]))[:MAX_FLIPS]
        cells: dict[tuple[str, str], dict[str, Any]] = {}
        for case in sorted({flip["case"] for flip in listed}):
            for variant in (candidate, baseline):
                page = await client.runs.results(run_id, variant=variant, case=case, limit=1)
                cells[variant, case] = dict(page["items"][0])
        for flip in listed:
            before, after = cells[baseline, flip["case"]], cells[candidate, flip["case"]]
            flips.append(
                Flip(
                    flip["case"], flip["metric"], candidate.partition(":")[2], flip["from"], flip["to"],
                    after["inputs"], after["reference"], _text(before), _text(after),
                )
            )  # fmt: skip
    return sorted(flips, key=lambda f: (f.after - f.before, f.case, f.endpoint))


def _text(cell: dict[str, Any]) -> str:
    answer = cell.get("answer") or {}
    return answer.get("text") or cell.get("error") or ""
