"""``netyard demo``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from netyard.cli.formats import table_or_json


@click.command()
@click.argument("scene", type=click.Choice(["bridge", "l2", "overlay"]), default="bridge")
@click.option("--inside", is_flag=True, hidden=True)
@table_or_json
@click.pass_context
def demo(ctx: click.Context, scene: str, inside: bool, output_format: str) -> None:
    """Show it all at work, on a throw-away machine: needs root, touches nothing.

    SCENE is bridge, l2 for macvlan and ipvlan: containers on the wire, or overlay: two hosts, one
    network.
    """
    from netyard.demo import scenes, stage
    from netyard.state.root import check_privileges

    check_privileges()
    if not inside:
        ctx.exit(stage.start(scene, output_format=output_format))
    silent = output_format == "json"
    steps = stage.show(scenes.scene(scene), lambda text: None if silent else click.echo(text))
    if silent:
        click.echo(json.dumps([asdict(step) for step in steps]))
    ctx.exit(0 if all(step.is_right for step in steps) else 1)
