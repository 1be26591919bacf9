"""The `promptward` command. A command is one line here and one file beside it, loaded when it is used."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from app.cli.exits import Exit, report

COMMANDS = {
    "init": "app.cli.init:init",
    "sync": "app.cli.sync:sync",
    "export": "app.cli.export:export",
    "import": "app.cli.import_:import_",
    "try": "app.cli.try_:try_",
    "check": "app.cli.check:check",
    "ship": "app.cli.ship:ship",
    "release": "app.cli.release:release",
    "environments": "app.cli.environments:environments",
    "feedback": "app.cli.feedback:feedback",
    "audit": "app.cli.audit:audit",
    "demo": "app.cli.demo.command:demo",
    "run": "app.cli.run:run",
    "runs": "app.cli.runs:runs",
    "schedules": "app.cli.schedules:schedules",
    "leaderboard": "app.cli.schedules:leaderboard",
    "drift": "app.cli.schedules:drift",
    "results": "app.cli.results:results",
    "compare": "app.cli.results:compare",
    "list": "app.cli.artifacts:list_",
    "show": "app.cli.artifacts:show",
    "history": "app.cli.artifacts:history",
    "diff": "app.cli.artifacts:diff",
    "label": "app.cli.artifacts:label",
    "lineage": "app.cli.artifacts:lineage",
    "archive": "app.cli.artifacts:archive",
    "restore": "app.cli.artifacts:restore",
    "datasets": "app.cli.datasets:datasets",
    "scorers": "app.cli.scorers:scorers",
    "endpoints": "app.cli.endpoints:endpoints",
    "gate": "app.cli.gate:gate",
    "calibrate": "app.cli.calibrate:calibrate",
    "keys": "app.cli.keys:keys",
    "projects": "app.cli.projects:projects",
    "serve": "app.cli.serve:serve",
    "worker": "app.cli.worker:worker",
    "workers": "app.cli.workers:workers",
    "devmodel": "app.cli.devmodel:devmodel",
    "db": "app.cli.db:db",
    "settings": "app.cli.settings:settings",
    "doctor": "app.cli.doctor:doctor",
}


class Program(click.Group):
    """Loads a command when it is named, and turns every ending into one of our exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._short_help(ctx, name)) for name in COMMANDS])

    def _short_help(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(100) if command else ""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        given = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(given, prog_name or "promptward", complete_var, standalone_mode=False, **extra)
        except BaseException as error:  # noqa: BLE001  the outermost place: whatever it is becomes a code and a line
            if "--debug" in given:
                traceback.print_exc()
            code = report(error, as_json="--json" in given)
        sys.exit(code if isinstance(code, int) else Exit.PASS)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="promptward", prog_name="promptward")
def program() -> None:
    """Version prompts, evaluate them on several model endpoints, and judge every change.

    Commands talk to PROMPTWARD_URL when it is set, else to the service that runs on this home, else to an instance in
    their own process.
    """


def main() -> NoReturn:
    program.main()


if __name__ == "__main__":
    main()
