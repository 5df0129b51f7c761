"""How a command ends: one sentence on stderr, and the exit status of the contract (CV2)."""

from __future__ import annotations

import sys

import click

from netyard.errors import NetyardError, Several, StartFailed
from netyard.values.printable import printable

# For these, netyard's own failure is 125: any other status is the command's.
_RUNNING_COMMANDS = {"run", "exec"}


def guarded(command: click.Command) -> int:
    """Run the command line; its exit status."""
    # Filled by the group itself: the same words further on are the container's command's.
    chosen: dict[str, object] = {"root": None, "debug": False, "command": None}
    try:
        status = command.main(prog_name="netyard", standalone_mode=False, obj=chosen)
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has seen enough.
        sys.stderr.close()
        return 1
    except (NetyardError, OSError) as error:
        if chosen["debug"]:
            raise
        report(error)
        if isinstance(error, StartFailed):
            return error.exit_code
        return 125 if chosen["command"] in _RUNNING_COMMANDS else 1


def report(error: Exception) -> None:
    """Print an error and its hint."""
    errors = error.errors if isinstance(error, Several) else [error]
    for each in errors:
        click.echo(f"netyard: {printable(_sentence(each))}", err=True)
        hint = getattr(each, "hint", None)
        if hint:
            click.echo(f"hint: {printable(hint)}", err=True)


def _sentence(error: Exception) -> str:
    if isinstance(error, NetyardError) or not isinstance(error, OSError):
        return str(error)
    return f"{error.filename or 'a system call'}: {error.strerror}"


def note(message: str) -> None:
    """Print what was decided for the user."""
    click.echo(f"netyard: {printable(message)}", err=True)


def warn(message: str) -> None:
    """Print a warning."""
    click.echo(f"netyard: warning: {printable(message)}", err=True)
