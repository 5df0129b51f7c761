"""The command ``netyard`` and its table of subcommands, imported when they are called."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper

from netyard.cli.deferred import modules_deferred

# Importing makes many objects and next to no garbage: collecting it takes 5 % of a short command's
# time. `LazyGroup.get_command` turns the collector on again.
gc.disable()

with modules_deferred():
    import click

_COMMANDS = {
    "abandon": "adopt:abandon",
    "adopt": "adopt:adopt",
    "agent": "agent:agent",
    "attach": "run:attach",
    "config": "config:config",
    "container-ended": "agent:container_ended",
    "create": "create:create",
    "demo": "demo:demo",
    "doctor": "doctor:doctor",
    "events": "lifetime:events",
    "exec": "run:exec_command",
    "host": "hosts:host",
    "inspect": "containers:inspect",
    "kill": "lifetime:kill",
    "logs": "containers:logs",
    "network": "network:network",
    "port": "port:port",
    "ps": "containers:ps",
    "reload": "upkeep:reload",
    "rename": "lifetime:rename",
    "repair": "upkeep:repair",
    "rm": "containers:rm",
    "run": "run:run",
    "start": "run:start",
    "stats": "stats:stats",
    "stop": "containers:stop",
    "top": "lifetime:top",
    "version": "version:version",
    "wait": "lifetime:wait",
}
_HIDDEN = {"container-ended"}


class LazyGroup(click.Group):
    """Subcommands by name, each imported only when it is called or described."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, for help."""
        return sorted(set(_COMMANDS) - _HIDDEN)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"netyard.cli.{module}"), attribute)
        # What has been imported stays: the collector need not look at it.
        gc.freeze()
        gc.enable()
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["--help"]})
@click.option("--root", metavar="DIR", help="State directory (NETYARD_ROOT, /var/lib/netyard).")
@click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
@click.pass_context
def cli(ctx: click.Context, root: str | None, debug: bool) -> None:
    """Container networks without a container engine."""
    ctx.obj |= {"root": root, "debug": debug, "command": ctx.invoked_subcommand}


def main() -> None:
    """The console script."""
    from netyard.cli.report import guarded

    _settle_streams()
    status = guarded(cli)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # Everything is closed; finalizing the interpreter would be a tenth of a short command's time.
    os._exit(status)


def _settle_streams() -> None:
    """Have all three streams, and an output that takes whatever text there is.

    In place of one that was closed the store's file would be opened, and written to as if it were
    the stream. Names of files and words of commands may be of any bytes: what is no text is shown
    with a backslash, which JSON understands as well.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
