"""The `flotilla` command. Exit status: 0 done, 1 failed, 2 the input is wrong.

Command modules import what is heavy only when they run, so that `flotilla --help` is quick.
"""

import click

from cluster.errors import ClusterError
from deployments.errors import DeploymentError, FileInvalid
from ops.commands.audit import audit
from ops.commands.bench import bench
from ops.commands.calibrate import calibrate
from ops.commands.chat import chat
from ops.commands.completion import completion
from ops.commands.connect import connect
from ops.commands.deploy import deploy
from ops.commands.doctor import doctor
from ops.commands.events import events
from ops.commands.front_door import render_front_door
from ops.commands.inventory import inventory
from ops.commands.keys import keys
from ops.commands.logs import logs
from ops.commands.models import models
from ops.commands.plan import plan
from ops.commands.ray import ray
from ops.commands.render import render
from ops.commands.render_cluster import render_cluster
from ops.commands.requests import requests
from ops.commands.simulate import simulate
from ops.commands.status import status
from ops.commands.tenants import tenants
from ops.commands.top import top
from ops.commands.up import down, up
from ops.commands.usage import usage
from ops.errors import OpsError
from ops.local_cluster import adopt_local_cluster

COMMANDS: tuple[click.Command, ...] = (
    up,
    down,
    plan,
    render,
    deploy,
    status,
    top,
    requests,
    events,
    logs,
    chat,
    connect,
    keys,
    tenants,
    usage,
    audit,
    inventory,
    models,
    render_cluster,
    render_front_door,
    ray,
    doctor,
    simulate,
    calibrate,
    bench,
    completion,
)


class _Root(click.Group):
    """Turns our errors into a line on stderr and an exit status."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except FileInvalid as error:
            # Each line begins with its file and line, as compilers and editors know it.
            click.echo(str(error), err=True)
            ctx.exit(2)
        except (ClusterError, DeploymentError, OpsError) as error:
            click.echo(f"flotilla: {error}", err=True)
            ctx.exit(1)


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="flotilla")
def main() -> None:
    """One OpenAI-compatible endpoint for a catalogue of models on your own cluster."""
    adopt_local_cluster()


for _command in COMMANDS:
    main.add_command(_command)

if __name__ == "__main__":
    main()
