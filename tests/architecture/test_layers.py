"""The laws of the house that a reader would otherwise have to remember."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for folder in ("app", "evaluators", "client/promptward") for p in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from ([f"app.{alias.name}" for alias in node.names] if node.module == "app" else [node.module])


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_each_room_imports_only_what_stands_below_it() -> None:
    from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS


@pytest.mark.parametrize(
    ("module", "rooms"),
    [
        ("openai", ("app/llm/",)),
        ("tiktoken", ("app/llm/",)),
        ("minijinja", ("app/kit/", "evaluators/judge/")),  # the scorers stand alone and check their own templates
        ("alembic", ("app/migrations/",)),
        ("click", ("app/cli/",)),
        ("uvicorn", ("app/main.py", "app/devmodel/")),
        ("pgqueuer", ("app/runs/",)),
    ],
)
def test_a_foreign_library_has_one_door(module: str, rooms: tuple[str, ...]) -> None:
    users = {relative(p) for p in SOURCES if any(i.split(".")[0] == module for i in imports(p))}
    assert {user for user in users if not user.startswith(rooms)} == set()


def test_scorers_know_no_web_and_no_database() -> None:
    banned = {"app", "litestar", "sqlmodel", "sqlalchemy", "openai", "promptward"}
    assert {
        (relative(p), i) for p in (ROOT / "evaluators").rglob("*.py") for i in imports(p) if i.split(".")[0] in banned
    } == set()


def test_the_client_imports_nothing_of_the_service() -> None:
    banned = {"app", "evaluators", "litestar", "sqlmodel", "sqlalchemy"}
    assert {
        (relative(p), i) for p in (ROOT / "client").rglob("*.py") for i in imports(p) if i.split(".")[0] in banned
    } == set()


def test_the_command_line_knows_only_the_client_and_main() -> None:
    allowed = ("app.cli", "app.main", "app.settings")
    found = {
        (relative(p), i)
        for p in (ROOT / "app/cli").rglob("*.py")
        for i in imports(p)
        if i == "app" or i.startswith("app.")
    }
    assert {(path, i) for path, i in found if not i.startswith(allowed)} == set()


def test_only_settings_reads_the_environment() -> None:
    readers = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ("environ", "getenv")
                and isinstance(node.value, ast.Name)
                and node.value.id == "os"
            ):
                readers.add(relative(path))
    # The client stands alone: it has its own two variables.
    assert {r for r in readers if not r.startswith("client/")} == {"app/settings.py"}


def test_nothing_from_outside_is_ever_executed() -> None:
    banned_calls = {"eval", "exec", "compile", "__import__"}
    banned_modules = {"pickle", "shelve", "marshal", "dill"}
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in banned_calls:
                found.add((relative(path), node.func.id))
        found |= {(relative(path), i) for i in imports(path) if i in banned_modules}
    assert found == set()


TOP_LEVEL = """
pyproject.toml README.md app evaluators client prompts datasets tests docs compose.yaml promptward.yaml
CHANGELOG.md CONTRIBUTING.md LICENSE requirements.lock requirements-dev.lock .ci/run .github
"""


@pytest.mark.parametrize("name", TOP_LEVEL.split())
def test_the_top_level_is_complete(name: str) -> None:
    assert (ROOT / name).exists()


def test_a_room_s_tables_are_its_own() -> None:
    """Whoever else needs what is in them asks the room."""
    foreign = {
        (relative(p), i)
        for p in (ROOT / "app").rglob("*.py")
        for i in imports(p)
        if i.endswith(".tables") and i.split(".")[1] != relative(p).split("/")[1] and "migrations" not in relative(p)
    }
    assert foreign == set()
