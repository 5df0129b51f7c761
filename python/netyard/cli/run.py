"""``netyard run``, ``start``, ``attach`` and ``exec``: what runs something.

``create`` is in a file of its own: making its options again would be a share of each ``run``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from netyard.api.container import Container
from netyard.api.host import Host
from netyard.cli.context import current_host
from netyard.cli.environment import parse_environment, read_env_file
from netyard.cli.proxies import proxy_environment
from netyard.cli.report import report, warn
from netyard.cli.unpublished import warn_unpublished
from netyard.errors import Conflict, Invalid, NetyardError, StartFailed
from netyard.lifecycle.stop import discard_container, finish_container
from netyard.runtime import shim
from netyard.values.log_options import parse_log_words
from netyard.values.parse import parse_pairs

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_OPTIONS: tuple[_Decorator, ...] = (
    click.option("--name", help="Name; generated if not given."),
    click.option("--network", "--net", multiple=True, help="Network, host, none, container:NAME."),
    click.option("--ip", metavar="IP", help="IPv4 address on the first network."),
    click.option("--ip6", metavar="IP", help="IPv6 address on the first network."),
    click.option("--mac-address", metavar="MAC", help="MAC address on the first network."),
    click.option("--network-alias", "--net-alias", multiple=True, help="Further name."),
    click.option(
        *("-p", "--publish"),
        multiple=True,
        metavar="[IP:][HOST:]PORT[/PROTOCOL]",
        help="Publish a port.",
    ),
    click.option("-P", "--publish-all", is_flag=True, help="Publish each exposed port."),
    click.option("--expose", multiple=True, metavar="PORT[/PROTOCOL]", help="For --publish-all."),
    click.option("-h", "--hostname", default="", help="Host name; the short id if not given."),
    click.option("--domainname", default="", help="Domain name."),
    click.option("--add-host", multiple=True, metavar="NAME:IP", help="Line in /etc/hosts."),
    click.option("--dns", multiple=True, metavar="IP", help="Name server."),
    click.option("--dns-search", multiple=True, metavar="DOMAIN", help="Search domain."),
    click.option("--dns-option", "--dns-opt", multiple=True, help="Resolver option."),
    click.option("--link-local-ip", multiple=True, metavar="IP", help="Further address."),
    click.option("--link", multiple=True, metavar="CONTAINER[:ALIAS]", help="Private name."),
    click.option("--sysctl", multiple=True, metavar="net.KEY=VALUE", help="Kernel setting."),
    click.option("--env-file", multiple=True, metavar="FILE", help="Variables, one a line."),
    click.option("-e", "--env", multiple=True, metavar="KEY[=VALUE]", help="Variable."),
    click.option("-w", "--workdir", default="", metavar="DIR", help="Working directory."),
    click.option("-u", "--user", default="", metavar="USER[:GROUP]", help="User."),
    click.option("--rootfs", default="", metavar="DIR", help="Root; the host's files otherwise."),
    click.option("--read-only", is_flag=True, help="Only mounts can be written to."),
    click.option(
        "--host-files",
        default="system",
        metavar="system|ephemeral|read-only|all",
        help="What it may do to the host's files, without --rootfs.",
    ),
    click.option(
        *("-v", "--volume"),
        multiple=True,
        metavar="HOST:CONTAINER[:ro,idmap]",
        help="Mount a path.",
    ),
    click.option("--mount", multiple=True, metavar="type=bind|tmpfs,…", help="Mount something."),
    click.option("--tmpfs", multiple=True, metavar="PATH[:OPTION,…]", help="Mount a tmpfs."),
    click.option("-i", "--interactive", is_flag=True, help="Keep standard input open."),
    click.option("-t", "--tty", is_flag=True, help="Give it a terminal."),
    click.option("--rm", "auto_remove", is_flag=True, help="Remove it when it ends."),
    click.option("--privileged", is_flag=True, help="All capabilities, writable /proc/sys."),
    click.option("--cap-add", multiple=True, metavar="CAP", help="Keep a capability."),
    click.option("--cap-drop", multiple=True, metavar="CAP", help="Drop a capability."),
    click.option("--userns", default="", metavar="MODE", help="private, auto[:size=N] or host."),
    click.option(
        "--security-opt", multiple=True, metavar="OPTION", help="no-new-privileges, seccomp=FILE."
    ),
    click.option("-m", "--memory", default="", metavar="BYTES", help="Memory it may use."),
    click.option("--memory-swap", default="", metavar="BYTES", help="Memory and swap."),
    click.option("--cpus", default="", metavar="NUMBER", help="Processors it may use, as 0.5."),
    click.option("--pids-limit", default=4096, show_default=True, help="Processes; -1: no limit."),
    click.option("--ulimit", multiple=True, metavar="NAME=SOFT[:HARD]", help="Of each process."),
    click.option("--shm-size", default="", metavar="BYTES", help="Shared memory; else 64m."),
    click.option("--log-driver", default="", metavar="DRIVER", help="json-file, or none."),
    click.option("--log-opt", multiple=True, metavar="KEY=VALUE", help="max-size, max-file."),
    click.option("-l", "--label", multiple=True, metavar="KEY[=VALUE]", help="Metadata."),
)
#: What comes after the first word that is no option is the command.
PASS_THROUGH = {"allow_interspersed_args": False}


def container_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Everything a container can be asked to be."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return click.argument("command", nargs=-1, metavar="COMMAND...", type=click.UNPROCESSED)(
        function
    )


def settings_of(given: dict[str, Any]) -> dict[str, Any]:
    """Options as `Container.create` takes them."""
    words = [line for path in given.pop("env_file") for line in read_env_file(path)]
    words += given.pop("env")
    environment = {**proxy_environment(), **parse_environment(words, os.environ)}
    renamed = {
        "aliases": given.pop("network_alias"),
        "link_local_ips": given.pop("link_local_ip"),
        "links": given.pop("link"),
        "sysctls": parse_pairs("--sysctl", given.pop("sysctl")),
        "ulimits": given.pop("ulimit"),
        "add_hosts": given.pop("add_host"),
        "dns_options": given.pop("dns_option"),
        "environment": environment,
        "volumes": given.pop("volume"),
        "mounts": given.pop("mount"),
        "log_opts": parse_log_words(given.pop("log_opt")),
        "labels": parse_pairs("--label", given.pop("label"), bare=""),
    }
    # As in Docker, an address that is empty is none that was asked for.
    given |= {name: given[name] or None for name in ("ip", "ip6", "mac_address")}
    return {**given, **renamed}


@click.command(context_settings=PASS_THROUGH)
@click.option("-d", "--detach", is_flag=True, help="Leave it running and print its id.")
@container_options
@click.pass_context
def run(ctx: click.Context, /, command: tuple[str, ...], detach: bool, **given: Any) -> None:
    """Run a command in a container of its own."""
    host = current_host(ctx)
    settings = settings_of(given)
    if settings["network"] == ("host",) and (settings["publish"] or settings["publish_all"]):
        warn("published ports are discarded: --network host has the host's own ports")
    if not detach:
        _check_input(ctx, tty=settings["tty"], interactive=settings["interactive"])
    if detach:
        container = Container.run(*command, host=host, **settings)
        warn_unpublished(container)
        click.echo(container.id)
        return
    ctx.exit(_run_attached(host, command, settings))


def _check_input(ctx: click.Context, *, tty: bool, interactive: bool) -> None:
    """Refuse to feed a terminal by what is none, with Docker's sentence and status."""
    if tty and interactive and not sys.stdin.isatty():
        report(Invalid("the input device is not a TTY", hint="leave -t out"))
        ctx.exit(1)


def _run_attached(host: Host, command: tuple[str, ...], settings: dict[str, Any]) -> int:
    # The session is outermost: what it waits for ends only when the change has been undone.
    with _Session(host) as session, host.change() as change:
        container = Container.create(*command, host=host, **settings)
        change.on_failure(lambda: discard_container(host, container.record))
        session.start(container)
        warn_unpublished(container)
    return session.wait()


class _Session:
    """Our streams on a container, and the promise to clean up after it.

    A context manager around the start: if that fails, our client is waited for, which ends by
    itself when the supervisor is gone, and leaves the terminal as it was.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._container: Container | None = None
        self._claim: shim.Claim | None = None
        self._attachment: shim.Attachment | None = None

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None and self._attachment is not None:
            self._attachment.wait()

    def start(self, container: Container) -> None:
        """Start a container with our streams on it."""
        self._container = container
        container.start(attached=2, when_listening=lambda: self._open(container))

    def _open(self, container: Container) -> None:
        """Connect; the command starts when both clients are there."""
        layout, spec = self._host.layout, container.spec
        directory = layout.container(container.id)
        try:
            self._claim = shim.Claim(directory)
        except OSError as error:
            # It waits for as many as were announced, for ever.
            raise StartFailed(
                f"the container's supervisor cannot be reached: {error.strerror}", exit_code=125
            ) from error
        self._attachment = shim.attach(
            layout, directory, tty=spec.tty, interactive=spec.interactive
        )

    def wait(self) -> int:
        """The command's status, once it has ended or the user has detached (0)."""
        if self._attachment is None or self._container is None:
            return 125
        with _forwarding(self._container):
            status = self._attachment.wait()
        if status is None:
            return 0
        # The whole story is the supervisor's: our client may have been ended by a signal.
        if self._claim is not None:
            ended = self._claim.wait()
            status = ended if ended is not None else status
        finish_container(self._host, self._container.id)
        if self._claim is not None:
            self._claim.keep()
        return status


@contextlib.contextmanager
def _forwarding(container: Container) -> Iterator[None]:
    """Signals sent to us are for the container."""

    def forward(number: int, _: object) -> None:
        with contextlib.suppress(NetyardError):
            container.kill(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="CONTAINER...")
@click.option("-a", "--attach", "attach_too", is_flag=True, help="Connect to its streams.")
@click.option("-i", "--interactive", is_flag=True, help="Connect our input, too.")
@click.pass_context
def start(ctx: click.Context, names: tuple[str, ...], attach_too: bool, interactive: bool) -> None:
    """Start stopped containers."""
    from netyard.cli.each import for_each

    host = current_host(ctx)
    if attach_too or interactive:
        if len(names) > 1:
            raise Invalid("--attach: one container at a time")
        container = Container.get(names[0], host=host)
        if container.status == "running" and container.record.kind != "adopted":
            # As in Docker: there is nothing to start, and there are streams.
            ctx.exit(_attached(host, container, interactive=interactive))
        with _Session(host) as session:
            session.start(container)
            warn_unpublished(container)
        ctx.exit(session.wait())

    def start_one(name: str) -> None:
        found = Container.get(name, host=host)
        found.start()
        warn_unpublished(found)

    for_each(ctx, names, start_one)


@click.command()
@click.argument("name", metavar="CONTAINER")
@click.option("--no-stdin", is_flag=True, help="Do not connect our input.")
@click.pass_context
def attach(ctx: click.Context, name: str, no_stdin: bool) -> None:
    """Connect to a running container; Ctrl-P Ctrl-Q detaches."""
    host = current_host(ctx)
    container = Container.get(name, host=host)
    if container.status != "running":
        raise Conflict(f"container {name!r} is not running")
    ctx.exit(_attached(host, container, interactive=not no_stdin))


def _attached(host: Host, container: Container, *, interactive: bool) -> int:
    """Our streams on a container that runs; its status, or 0 if the user has detached."""
    spec = container.spec
    attachment = shim.attach(
        host.layout,
        host.layout.container(container.id),
        tty=spec.tty,
        interactive=spec.interactive and interactive,
    )
    with _forwarding(container):
        status = attachment.wait()
    return status or 0


@click.command("exec", context_settings=PASS_THROUGH)
@click.argument("name", metavar="CONTAINER")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("-e", "--env", multiple=True, metavar="KEY=VALUE", help="Variable.")
@click.option("-w", "--workdir", default="", metavar="DIR", help="Working directory.")
@click.option("-u", "--user", default="", metavar="USER[:GROUP]", help="User.")
@click.option("-i", "--interactive", is_flag=True, help="Connect our input.")
@click.option("-t", "--tty", is_flag=True, help="Give it a terminal.")
@click.pass_context
def exec_command(
    ctx: click.Context,
    name: str,
    command: tuple[str, ...],
    env: tuple[str, ...],
    workdir: str,
    user: str,
    interactive: bool,
    tty: bool,
) -> None:
    """Run one more command in a running container."""
    container = Container.get(name, host=current_host(ctx))
    _check_input(ctx, tty=tty, interactive=interactive)
    done = container.exec(
        *command,
        environment=parse_pairs("--env", env),
        workdir=workdir,
        user=user,
        tty=tty,
        interactive=interactive,
        capture=False,
        pass_signals=True,
    )
    ctx.exit(done.returncode)
