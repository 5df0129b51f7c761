"""``netyard agent``, and the clean-up that supervisors call."""

from __future__ import annotations

import click

from netyard.cli.context import current_host


@click.command()
@click.option("--exit-when-idle", is_flag=True, hidden=True)
@click.option("--stats", is_flag=True, help="Show the running agent's counters, as JSON.")
@click.pass_context
def agent(ctx: click.Context, exit_when_idle: bool, stats: bool) -> None:
    """Serve names in the foreground. Started by itself when a container needs it."""
    import json

    from netyard.agent import server
    from netyard.errors import AgentError
    from netyard.ipc import agent
    from netyard.state.layout import Layout

    layout = Layout.of(ctx.find_root().obj["root"])
    if stats:
        answer = agent.request(layout, {"op": "stats"})
        if answer is None:
            raise AgentError(f"no agent of root {layout.root} runs")
        click.echo(json.dumps(answer))
        return
    server.serve(layout, exit_when_idle=exit_when_idle)


@click.command(hidden=True)
@click.argument("container_id")
@click.pass_context
def container_ended(ctx: click.Context, container_id: str) -> None:
    """Clean up after a container that has ended."""
    from netyard.lifecycle.stop import finish_container

    finish_container(current_host(ctx), container_id)
