"""`promptward init`: a small project that runs offline, to start from."""

import base64
from pathlib import Path
from typing import Any

import click

from app.cli.command import Session, common
from app.cli.exits import UserError
from app.cli.import_ import collected, show_losses
from app.cli.project import find_root, folders_of
from app.settings import PROJECT_FILE

STARTER = Path(__file__).parent / "starter"
SOURCES = {"promptfoo": "promptfoo", "langfuse": "langfuse", "openai": "openai", "prompts": "text"}
"""What `--from` takes, and the format that it is."""
NEXT_IMPORTED = """\
Next:
  promptward sync --plan     # what these files would make
  promptward sync            # makes the first versions
  promptward list suites     # then: promptward run SUITE --candidate prompt=NAME,endpoint=NAME"""
NEXT = """\
Next:
  promptward devmodel                                          # in another terminal: answers offline
  promptward try prompts/shop.prompt.yaml --endpoint dev/large --var question="When are you open?"
  promptward run shop --candidate prompts/shop.prompt.yaml
  promptward sync                                              # makes the first versions"""
NEXT_PACK = """\
Next:
  promptward run {pack} --candidate prompt=NAME,endpoint=NAME   # {folder}/{pack}.md says what it asks for"""


@click.command()
@click.option("--from", "source", type=click.Choice(SOURCES), help="Make it of what another tool left.")
@click.option("--pack", metavar="NAME", help="Add a ready-made suite with its dataset to this project: red-team.")
@click.option("--force", is_flag=True, help="With --pack: write its files anew where they exist.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@common
async def init(session: Session, source: str | None, pack: str | None, force: bool, paths: tuple[Path, ...]) -> None:
    """Write promptward.yaml, a prompt, a dataset and a suite into this folder. Nothing is overwritten.

    With --from, the project is made of what is found at PATH (by default in this folder): promptfoo configs, Langfuse exports,
    OpenAI prompt objects, or text and Markdown files as prompts. With --pack, the suite, the dataset and the card of that name
    are added to the datasets of the project in this folder, or in one above it.
    """
    if force and pack is None:
        raise UserError("--force goes with --pack; nothing else is ever overwritten")
    if pack is not None:
        if source is not None or paths:
            raise UserError("--pack stands alone, without --from and PATH")
        _add_pack(session, pack, force)
        return
    folder = Path.cwd()
    losses: list[dict[str, Any]] = []
    if source is None:
        if paths:
            raise UserError("a PATH goes with --from")
        found = sorted(path for path in STARTER.rglob("*") if path.is_file())
        files = {path.relative_to(STARTER).as_posix(): path.read_bytes() for path in found}
    else:
        files, losses = await _imported(session, source, list(paths) or [folder])
    if taken := [file for file in files if (folder / file).exists()]:
        raise UserError(f"{', '.join(taken)} exists in {folder} already; run init in another folder")
    try:
        for file, data in files.items():
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as new:
                new.write(data)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written: {error.strerror}") from error
    session.out.data({"folder": str(folder), "files": list(files), "losses": losses})
    for file in files:
        session.out.line(f"wrote {file}")
    show_losses(session.out, losses)
    session.out.note(NEXT if source is None else NEXT_IMPORTED)


def _add_pack(session: Session, pack: str, force: bool) -> None:
    from evaluators import packs

    if pack not in packs.names():
        raise UserError(f"there is no pack {pack!r}; there is {' and '.join(packs.names())}")
    root = find_root()
    folder = folders_of((root / PROJECT_FILE).read_bytes(), PROJECT_FILE)["datasets"]
    files = {f"{folder}/{name}": data for name, data in packs.files(pack).items()}
    if not force and (taken := [file for file in files if (root / file).exists()]):
        raise UserError(f"{', '.join(taken)} exists already; --force writes the pack's files anew")
    try:
        for file, data in files.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(data)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written: {error.strerror}") from error
    session.out.data({"folder": str(root), "files": list(files), "losses": []})
    for file in files:
        session.out.line(f"wrote {file}")
    session.out.note(NEXT_PACK.format(pack=pack, folder=folder))


async def _imported(session: Session, source: str, paths: list[Path]) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    sent, form = collected(SOURCES[source], paths)
    async with session.client() as client:
        result = await client.import_(form, sent, "files")
    files = {
        file["path"]: file["text"].encode() if file["text"] is not None else base64.b64decode(file["base64"])
        for file in result["files"]
    }
    if not files:
        raise UserError(
            f"nothing in {paths[0]} could be taken over: {'; '.join(x['what'] for x in result['losses'][:3])}"
        )
    files.setdefault(
        PROJECT_FILE, b"# Endpoints, gate policies and environments; see docs/concepts.md\nendpoints: {}\n"
    )
    return dict(sorted(files.items(), key=lambda file: (file[0] != PROJECT_FILE, file[0]))), result["losses"]
