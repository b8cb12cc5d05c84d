"""`flotilla events`: what happened to the fleet, and why."""

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from deployments.event import Event
    from ops.event_tail import EventTail

DEFAULT_EVENTS = 50
MOST_EVENTS = 20_000
POLL_S = 0.5


@click.command()
@click.option(
    "--last",
    "most",
    type=click.IntRange(0, MOST_EVENTS),
    default=DEFAULT_EVENTS,
    show_default=True,
    help="So many events.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with those that come, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
def events(most: int, follow: bool, as_json: bool) -> None:
    """Show scaling, placement, replicas that came and went, ejections and deploys, oldest first."""
    from collections import deque

    from ops.event_tail import EventTail
    from serving.keystore import home

    with EventTail(home()) as tail:
        found = deque(tail.new(), maxlen=most)
        for event in found:
            click.echo(_line(event, as_json))
        if follow:
            _follow(tail, as_json)
        elif not found:
            click.echo("no events yet: they begin with the first deploy", err=True)


def _follow(tail: "EventTail", as_json: bool) -> None:
    try:
        while True:
            for event in tail.new():
                click.echo(_line(event, as_json))
            _pause()
    except KeyboardInterrupt:
        click.get_current_context().exit(0)


def _pause() -> None:
    import time

    time.sleep(POLL_S)


def _line(event: "Event", as_json: bool) -> str:
    from dataclasses import asdict
    from datetime import UTC, datetime

    if as_json:
        return json.dumps(asdict(event), ensure_ascii=False)
    at = datetime.fromtimestamp(event.at_s, UTC).astimezone()
    text = f"{at:%Y-%m-%d %H:%M:%S}  {event.kind:10}  {event.subject}  {event.text}"
    return "".join(char if char.isprintable() else " " for char in text)
