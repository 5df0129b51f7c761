"""A page for each command, read from click: usage, help, arguments, options and their defaults.

Hidden commands and options are not for users and have none.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
from markdown import Gaps, Pages, code, page, span, table

from netyard.cli.main import cli


def pages(gaps: Gaps) -> Pages:
    """The pages of all commands, and their index."""
    root = click.Context(cli, info_name="netyard")
    found = list(_walk(cli, root))
    made = {f"commands/{_file(ctx)}": _page(command, ctx, gaps) for command, ctx in found}
    made["commands/README.md"] = _index(found)
    return made


def _walk(
    command: click.Command, ctx: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    yield command, ctx
    for name, each in _children(command, ctx):
        yield from _walk(each, click.Context(each, info_name=name, parent=ctx))


def _children(command: click.Command, ctx: click.Context) -> list[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        return []
    named = [(name, command.get_command(ctx, name)) for name in command.list_commands(ctx)]
    return [(name, each) for name, each in named if each is not None and not each.hidden]


def _file(ctx: click.Context) -> str:
    """`netyard network create` is in network-create.md, netyard itself in netyard.md."""
    _, *words = ctx.command_path.split()
    return f"{'-'.join(words) or 'netyard'}.md"


def _index(found: list[tuple[click.Command, click.Context]]) -> str:
    rows = [
        (f"[{span(ctx.command_path)}]({_file(ctx)})", command.get_short_help_str(200))
        for command, ctx in found
    ]
    return page(
        "Commands",
        [
            "Options stand before or after arguments, up to the command of a container. Every "
            "command takes `--help`. Exit statuses are in [the guide](../../guide.md).",
            table(["command", "what it does"], rows),
        ],
    )


def _page(command: click.Command, ctx: click.Context, gaps: Gaps) -> str:
    own = ctx.command_path.split()[-1]
    usage = f"{ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}"
    alias = command.name if ctx.parent and command.name and command.name != own else None
    subcommands = [
        (_linked(name, each, ctx), each.get_short_help_str(200))
        for name, each in _children(command, ctx)
    ]
    options = [each for each in command.params if isinstance(each, click.Option)]
    shown = [_option(each, ctx, gaps) for each in options if not each.hidden]
    return page(
        span(ctx.command_path),
        [
            _help(command, ctx, gaps),
            _alias(alias, command, ctx),
            code(usage.rstrip(), "text"),
            _section("Arguments", table(["argument", "how many"], _arguments(command, ctx))),
            _section("Options", table(["option", "value", "default", "meaning"], shown)),
            _section("Commands", table(["command", "what it does"], subcommands)),
        ],
    )


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _help(command: click.Command, ctx: click.Context, gaps: Gaps) -> str:
    if not command.help:
        gaps.note(ctx.command_path, "no help")
    # A form feed ends what `--help` shows, a backspace keeps click from filling a paragraph.
    return inspect.cleandoc((command.help or "").partition("\f")[0]).replace("\b", "")


def _alias(alias: str | None, command: click.Command, ctx: click.Context) -> str:
    if alias is None or ctx.parent is None:
        return ""
    parent = ctx.parent
    return f"Another name of {_linked(alias, command, parent)}."


def _linked(name: str, command: click.Command, parent: click.Context) -> str:
    ctx = click.Context(command, info_name=name, parent=parent)
    return f"[{span(ctx.command_path)}]({_file(ctx)})"


def _arguments(command: click.Command, ctx: click.Context) -> list[tuple[str, str]]:
    rows = []
    for each in command.params:
        if isinstance(each, click.Argument):
            # Click lets none pass where the command itself has something to say about it.
            is_needed = each.required or not (each.metavar or "[").startswith("[")
            many = "one or more" if is_needed else "any number"
            one = "one" if each.required else f"at most one{_unless(each, ctx)}"
            rows.append((span(_bare(each, ctx)), many if each.nargs == -1 else one))
    return rows


def _bare(argument: click.Argument, ctx: click.Context) -> str:
    """`CONTAINER` of `CONTAINER...` and of `[CONTAINER]`, but all of `[IP:][HOST:]PORT`."""
    if argument.metavar:
        return argument.metavar.removesuffix("...")
    shown = argument.make_metavar(ctx).removesuffix("...")
    return shown.strip("[]")


def _unless(argument: click.Argument, ctx: click.Context) -> str:
    default = argument.get_default(ctx)
    return f"; {span(str(default))} if not given" if _is_given(default) else ""


def _option(option: click.Option, ctx: click.Context, gaps: Gaps) -> tuple[str, str, str, str]:
    names = ", ".join(span(word) for word in (*option.opts, *option.secondary_opts))
    if not option.help:
        gaps.note(ctx.command_path, f"option {option.opts[-1]} has no help")
    repeated = " (may be repeated)" if option.multiple else ""
    value = "" if option.is_flag or option.count else span(option.make_metavar(ctx)) + repeated
    default = option.get_default(ctx)
    none = "off" if option.is_flag else "none"
    return names, value, span(str(default)) if _is_given(default) else none, option.help or ""


def _is_given(default: object) -> bool:
    """Whether a default says something: not that a flag is off, not that a text is empty."""
    return isinstance(default, (str, int, float)) and default is not False and default != ""
