"""The command line: which commands there are, and how they end."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from compress.errors import CRASHED, BadInputError, CompressError, MachineError, cannot_write
from compress.streams import ClosedPipeError, guarded_output

if TYPE_CHECKING:
    import typer

HELP = (
    "Turn labelled images into a small, fast, verified image classifier in ONNX, with the evidence beside it.\n\n"
    "[bold]python -m compress all --data FOLDER[/bold] trains a teacher, prunes and quantizes it, distills it into a "
    "student, exports the models, measures them and writes a report. The name of a stage instead of [bold]all[/bold] "
    "runs up to and including that stage. A finished stage is not run again. Bundles in exported/ are checked and used "
    "with [bold]verify[/bold], [bold]predict[/bold], [bold]evaluate[/bold] and [bold]serve[/bold]. "
    "[bold]bench MODEL[/bold] measures any ONNX file; [bold]inspect[/bold] tells what of it runs as int8; "
    "[bold]check[/bold] tells whether a model got slower.\n\n"
    "[bold]python -m compress config[/bold] prints all settings, each with what it does. "
    "Errors are one line; [bold]--debug[/bold] shows the traceback."
)
# Modules of compress.commands. The quick ones answer within a second: if one of their commands is called, the
# pipeline's settings, which the slow ones need, are not loaded.
QUICK, SLOW = ("bundles", "serve", "check", "bench", "inspect"), ("run", "plans", "sensitivity")
DEBUG = "--debug"
RESTARTS, MAX_RESTARTS = "COMPRESS_RESTARTS", 10


def main() -> None:
    """Run the command line, and exit with its exit code."""
    arguments = [_below_home(argument) for argument in sys.argv[1:] if argument != DEBUG]
    try:
        with guarded_output():
            code = _exit_code(arguments)
    except ClosedPipeError as error:
        code = error.exit_code
    sys.exit(code)


def _below_home(argument: str) -> str:
    """Return `--out=~/models` with the home folder for `~`, which shells expand only where a word begins with it."""
    option, equals, value = argument.partition("=")
    if option.startswith("--") and value.split("/")[0] == "~":
        value = os.path.expanduser(value)  # noqa: PTH111  # pathlib would change the path
    return f"{option}{equals}{value}"


def _exit_code(arguments: Sequence[str]) -> int:
    """Run a command; a known error prints one line and gives its exit code, a traceback only with --debug.

    An unknown error prints its traceback, and has an exit code that nobody takes for a check that failed, which is 1.
    """
    try:
        try:
            return _run(arguments)
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except KeyboardInterrupt:
        _print_error("interrupted; the same command continues where it stopped")
        return 130
    except Exception as error:
        known = _as_known(error)
        if known and known.starts_again:
            _start_again(known)
        if DEBUG in sys.argv or known is None:
            traceback.print_exc()
            return known.exit_code if known else CRASHED
        _print_error(f"error: {known}")
        return known.exit_code


def _run(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["predict"]:  # without typer, which takes longer to load than predict takes to answer
        from compress.commands.predict import predict

        return predict(arguments[1:])

    import typer
    from typer.exceptions import TyperException

    app = _app(next(iter(arguments), ""))
    try:
        return app(args=arguments or ["--help"], prog_name="python -m compress", standalone_mode=False) or 0
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # not the output's, and typer would end in silence
            raise stop.__context__ from None
        raise
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except TyperException as error:
        message = " ".join(error.format_message().split())  # some messages put each choice on a line of its own
        raise BadInputError(f"{message.rstrip('.')}; see python -m compress --help") from error


def _app(first: str) -> typer.Typer:
    """Return the app with all commands; only with the quick ones if the first argument is one of them."""
    import typer

    app = typer.Typer(help=HELP, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    quick = [importlib.import_module(f"compress.commands.{name}").app for name in QUICK]
    names = {command.callback.__name__ for part in quick for command in part.registered_commands if command.callback}
    slow = [] if first in names else [importlib.import_module(f"compress.commands.{name}").app for name in SLOW]
    for part in (*slow, *quick):
        app.add_typer(part)
    return app


def _start_again(reason: CompressError) -> None:
    """Replace this process by the same command, at most ten times in all."""
    times = int(os.environ.get(RESTARTS, "0"))
    if times < MAX_RESTARTS:
        _print_error(f"{reason}; starts again, and goes on from the last checkpoint")
        os.environ[RESTARTS] = str(times + 1)
        os.execv(sys.executable, [sys.executable, "-m", "compress", *sys.argv[1:]])


def _as_known(error: Exception) -> CompressError | None:
    if isinstance(error, CompressError):
        return error
    if isinstance(error, OSError):
        written = cannot_write(str(error.filename or "the workspace"), error)
        return written if isinstance(written, MachineError) else None
    return None


def _print_error(line: str) -> None:
    print(line, file=sys.stderr)
