"""--url and --key, which several commands share: whose endpoint it is, and who asks."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from ops.commands.completion import complete_model

if TYPE_CHECKING:
    from ops.endpoint import Address

Command = Callable[..., None]

DEFAULT_URL = "http://127.0.0.1:8000/v1"


model_option = click.option(
    "--model",
    metavar="NAME",
    shell_complete=complete_model,
    help="Else the first of the list.",
)


def endpoint_options(command: Command) -> Command:
    """Adds --url and --key; both are found by themselves on the machine of a local fleet."""
    url = click.option(
        "--url",
        envvar="OPENAI_BASE_URL",
        metavar="URL",
        help="Base URL; it ends in /v1. Else OPENAI_BASE_URL, else the fleet of this machine.",
    )
    key = click.option(
        "--key",
        envvar="OPENAI_API_KEY",
        metavar="KEY",
        help="Else OPENAI_API_KEY, else the key that `flotilla up` made.",
    )
    return url(key(command))


def chosen_address(url: str | None) -> "Address":
    """The one that was given, or that of the gateway on this machine."""
    import asyncio

    from ops.endpoint import Address

    if url is None:
        return Address(asyncio.run(_local_url()))
    if not url.startswith(("http://", "https://")):
        raise click.BadParameter(f"{url!r} does not begin with http:// or https://")
    return Address(url.rstrip("/"))


def chosen_key(key: str | None) -> str:
    """The one that was given, or that of the local fleet. Raises KeyMissing."""
    from ops.errors import KeyMissing
    from serving.keystore import home

    if key:
        return key
    try:
        return (home() / "client_key").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise KeyMissing from None


async def _local_url() -> str:
    """As the Controller of this machine knows it."""
    from ops.control_client import ControlClient
    from ops.errors import ControllerMissing

    async with ControlClient() as client:
        try:
            gateways = (await client.status())["gateways"]
        except ControllerMissing:
            return DEFAULT_URL
    ports = sorted(each["address"].rpartition(":")[2] for each in gateways)
    return f"http://127.0.0.1:{ports[0]}/v1" if ports else DEFAULT_URL
