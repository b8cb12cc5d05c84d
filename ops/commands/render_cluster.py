"""`flotilla render-cluster`: an inventory as the cluster file of a plain `ray up`."""

from pathlib import Path

import click


@click.command(name="render-cluster")
@click.argument("path", metavar="INVENTORY", type=click.Path(path_type=Path, dir_okay=False))
def render_cluster(path: Path) -> None:
    """Print INVENTORY as a cluster file for `ray up`."""
    from ops.cluster_file import cluster_config, cluster_text

    click.echo(cluster_text(cluster_config(path), path.name), nl=False)
