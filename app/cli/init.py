"""`promptward init`: a small project that runs offline, to start from."""

from pathlib import Path

import click

from app.cli.command import Session, common
from app.cli.exits import UserError

STARTER = Path(__file__).parent / "starter"
SOURCES = ("promptfoo", "langfuse", "openai", "prompts")
NEXT = """\
Next:
  promptward devmodel                                          # in another terminal: answers offline
  promptward try prompts/shop.prompt.yaml --endpoint dev/large --var question="When are you open?"
  promptward run shop --candidate prompts/shop.prompt.yaml
  promptward sync                                              # makes the first versions"""


@click.command()
@click.option("--from", "source", type=click.Choice(SOURCES), help="Import what another tool left; not available yet.")
@common
async def init(session: Session, source: str | None) -> None:
    """Write promptward.yaml, a prompt, a dataset and a suite into this folder. Nothing is overwritten."""
    if source is not None:
        raise UserError(
            f"--from {source} is not available yet; run `promptward init` and move your prompts into prompts/"
        )
    files = sorted(path.relative_to(STARTER) for path in STARTER.rglob("*") if path.is_file())
    folder = Path.cwd()
    if taken := [str(file) for file in files if (folder / file).exists()]:
        raise UserError(f"{', '.join(taken)} exists in {folder} already; run init in another folder")
    try:
        for file in files:
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as new:
                new.write((STARTER / file).read_bytes())
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written: {error.strerror}") from error
    session.out.data({"folder": str(folder), "files": [str(file) for file in files]})
    for file in files:
        session.out.line(f"wrote {file}")
    session.out.note(NEXT)
