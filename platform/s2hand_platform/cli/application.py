"""The typer application, and what becomes of errors."""

import sys

import typer

from s2hand_platform.cli import claims, commands, power, services
from s2hand_platform.cli.added import added_commands
from s2hand_platform.cli.endings import EXIT_USER_ERROR, complain
from s2hand_platform.cli.explain import explain
from s2hand_platform.cli.imports import import_predictions
from s2hand_platform.cli.mapping import map_parts
from s2hand_platform.cli.output import checked_output
from s2hand_platform.errors import PlatformError
from s2hand_platform.experiments import command_groups, default_experiment


def main() -> None:
    """Run the command line; an error that the user can mend is one message, exit code 2."""
    try:
        with checked_output():
            _application()()
    except PlatformError as error:
        complain(str(error))
        sys.exit(EXIT_USER_ERROR)
    except PermissionError as error:
        if error.filename is None:
            raise
        complain(f"{error.filename}: {error.strerror}; check its permissions")
        sys.exit(EXIT_USER_ERROR)
    except Exception as error:
        if not _is_for_the_user(error):
            raise
        complain(str(error))
        sys.exit(EXIT_USER_ERROR)


def _is_for_the_user(error: Exception) -> bool:
    """Ask the experiment, whose own errors no module here knows."""
    try:
        return isinstance(error, default_experiment().user_errors)
    except PlatformError:
        return False


def _application() -> typer.Typer:
    app = typer.Typer(
        help="Which numbers of S2HAND and S2HAND(V) hold.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "obj": map_parts},
    )
    shown = (commands.table, power.power, claims.claims, explain)
    for command in (commands.plan, commands.run, commands.sweep, *shown, services.ui):
        app.command()(command)
    app.command("import")(import_predictions)
    app.command(context_settings={"ignore_unknown_options": True})(services.submit)
    for name, command in added_commands():
        app.command(name)(command)
    for name, added in command_groups().items():
        if isinstance(added, typer.Typer):
            app.add_typer(added, name=name)
        else:
            app.command(name)(added)
    return app
