from tests.app.runs.conftest import asked, project, sqlite_project

__all__ = ["asked", "project", "sqlite_project"]
