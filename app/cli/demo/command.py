"""`promptward demo`: the whole job on the example project, offline."""

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

import click
from promptward import AsyncClient
from promptward.asgi import StreamingASGITransport

from app.cli.command import Session
from app.cli.connection import EMBEDDED_URL
from app.cli.demo import acts, page, story
from app.cli.demo.door import door
from app.cli.demo.people import people
from app.cli.demo.stage import Stage
from app.cli.exits import UserError
from app.cli.project import find_root, project_files
from app.settings import PROJECT_FILE, Settings

HOME = Path(".promptward") / "demo"
REPORT = Path("demo-report.html")
DEVMODEL_URL = "PROMPTWARD_DEVMODEL_URL"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--debug", is_flag=True, help="Show a traceback when something goes wrong.")
def demo(as_json: bool, debug: bool) -> int:
    """The whole job on the example project, offline, in `.promptward/demo` (emptied at each start).

    Evaluates three candidates on two models, judges them, asks how often the gate itself is right, releases the one that is
    to be live, and lets simulated people decide about the next. Writes `demo-report.html`.
    """
    del debug  # read by the outermost place
    session = Session(as_json=as_json)
    began = time.monotonic()
    told = asyncio.run(_play(session))
    REPORT.write_text(page.rendered(told), encoding="utf-8")
    session.out.data({"acts": told, "report": str(REPORT)})
    story.ending(session.out, str(REPORT), time.monotonic() - began)
    return 0


async def _play(session: Session) -> dict[str, Any]:
    from app import main

    home = _emptied(HOME.absolute())
    root = main.example_project()
    async with main.running_devmodel() as url:
        environ = {
            name: value for name, value in session.settings.environ.items() if not name.startswith("PROMPTWARD_")
        }
        settings = Settings.read({**environ, "PROMPTWARD_HOME": str(home), DEVMODEL_URL: url})
        async with (
            main.embedded(settings) as service,
            AsyncClient(EMBEDDED_URL, service.token, transport=StreamingASGITransport(service.app)) as client,
        ):
            files = [file.payload() for file in project_files(find_root(root))]
            story.opening(session.out)
            await client.sync(files, mode="apply")
            evaluated = await acts.evaluate(session, client)
            story.evaluate(session.out, evaluated)
            gated = await acts.gate(client, evaluated)
            story.gate(session.out, gated)
            stage = Stage(client, service.app, service.token, files)
            quiet = Session(as_json=True)
            opened = await door(quiet, stage)
            story.door(session.out, opened)
            decided = await people(quiet, stage)
            story.people(session.out, decided)
    return {"evaluate": evaluated, "gate": gated, "door": opened, "people": decided}


def _emptied(home: Path) -> Path:
    """A fresh home; only a folder that an earlier demo made (or an empty one) is emptied."""
    if home.exists():
        if (home / PROJECT_FILE).exists() or (not (home / "promptward.db").exists() and any(home.iterdir())):
            raise UserError(
                f"{home} holds something that is not an earlier demo; move it away, or run the demo in another folder"
            )
        shutil.rmtree(home)
    home.mkdir(parents=True)
    return home
