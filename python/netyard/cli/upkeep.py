"""``netyard reload`` and ``repair``."""

from __future__ import annotations

from dataclasses import asdict

import click

from netyard.cli.context import current_host
from netyard.cli.formats import table_or_json
from netyard.cli.table import show_report
from netyard.lifecycle import recover
from netyard.state.layout import Layout


@click.command()
@table_or_json
@click.pass_context
def reload(ctx: click.Context, output_format: str) -> None:
    """Make every rule, bridge and interface again that should be there."""
    report = recover.reload(current_host(ctx))
    show_report(asdict(report), output_format)
    if report.lost:
        ctx.exit(1)


@click.command()
@click.option("--from-kernel", is_flag=True, help="Show what there is, without the store.")
@click.option("--clean", is_flag=True, help="With --from-kernel: take it away, and a lost store.")
@table_or_json
@click.pass_context
def repair(ctx: click.Context, from_kernel: bool, clean: bool, output_format: str) -> None:
    """Undo what was interrupted and take left-overs away.

    With --from-kernel, for a store that is damaged or of another version: show everything that
    belongs to this root, as the kernel has it; with --clean, take it away and put the store aside.
    """
    if clean and not from_kernel:
        raise click.UsageError("--clean goes with --from-kernel")
    if not from_kernel:
        show_report(asdict(recover.repair(current_host(ctx))), output_format)
        return
    from netyard.diagnose import salvage

    layout = Layout.of(ctx.obj["root"])
    found = salvage.clean(layout) if clean else salvage.find(layout)
    show_report({"removed" if clean else "found": list(found.lines())}, output_format)
