"""The client's public face: what is documented is there, and nothing else."""

import ast
import pkgutil
import tomllib
from pathlib import Path

import promptward
import pytest

FOLDER = Path(promptward.__file__).parent


def test_the_exported_names_are_exactly_the_documented_ones() -> None:
    assert promptward.__all__ == ["AsyncClient", "Client", "ConnectionFailedError", "FieldProblem", "PromptwardError"]
    modules = {module.name for module in pkgutil.iter_modules(promptward.__path__)}
    public = {name for name in vars(promptward) if not name.startswith("_")} - modules
    assert public == set(promptward.__all__)


def test_every_error_is_a_promptward_error() -> None:
    assert issubclass(promptward.ConnectionFailedError, promptward.PromptwardError)


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda p: p.name)
def test_the_client_needs_only_what_its_pyproject_names(path: Path) -> None:
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + [d for extra in project["optional-dependencies"].values() for d in extra]
    allowed = {dependency.partition(">")[0] for dependency in declared} | {"promptward"}
    import sys

    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.partition(".")[0])
    assert imported - set(sys.stdlib_module_names) <= allowed


def test_the_blocking_client_has_every_method_of_the_asynchronous_one() -> None:
    with promptward.Client("http://127.0.0.1:1") as client:
        for group in (
            "prompts",
            "datasets",
            "runs",
            "gates",
            "keys",
            "projects",
            "scorers",
            "environments",
            "releases",
            "feedback",
            "audit",
        ):
            assert type(getattr(client, group)) is type(getattr(promptward.AsyncClient("http://127.0.0.1:1"), group))
