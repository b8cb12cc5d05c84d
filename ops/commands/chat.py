"""`flotilla chat`: talks to a model in the terminal."""

import json
import sys
from typing import TYPE_CHECKING

import click

from ops.commands.endpoint_options import (
    chosen_address,
    chosen_key,
    endpoint_options,
    model_option,
)

if TYPE_CHECKING:
    from ops.chat import Endpoint, Terminal

DEFAULT_TOKENS = 1024
MOST_TOKENS = 1 << 20
#: Of a question that comes by a pipe.
PIPE_CHARS = 4 << 20


@click.command()
@click.argument("question", nargs=-1)
@endpoint_options
@model_option
@click.option("--system", metavar="TEXT", help="How it should answer.")
@click.option(
    "--max-tokens",
    type=click.IntRange(1, MOST_TOKENS),
    default=DEFAULT_TOKENS,
    show_default=True,
    help="Of one answer.",
)
@click.option("--temperature", type=click.FloatRange(0, 2), help="Else the model's own.")
@click.option("--json", "as_json", is_flag=True, help="With a QUESTION: print answer and usage.")
def chat(  # noqa: PLR0913 - one for each option of the command line
    question: tuple[str, ...],
    url: str | None,
    key: str | None,
    model: str | None,
    system: str | None,
    max_tokens: int,
    temperature: float | None,
    as_json: bool,
) -> None:
    """Talk to a model; with a QUESTION, or one that comes by a pipe, answer it and end.

    /help says what else there is.
    """
    from ops.chat import Endpoint

    parameters = {"max_tokens": max_tokens, "temperature": temperature}
    endpoint = Endpoint(chosen_address(url), chosen_key(key), parameters)
    asked = " ".join(question) or _piped()
    if asked is not None:
        _answer(endpoint, model, asked, system, as_json=as_json)
    elif as_json:
        raise click.UsageError("--json is for one QUESTION")
    else:
        _converse(endpoint, model, system)


def _piped() -> str | None:
    """What comes by a pipe; None on a terminal."""
    if sys.stdin.isatty():
        return None
    text = sys.stdin.read(PIPE_CHARS + 1)
    if len(text) > PIPE_CHARS:
        raise click.UsageError(f"the question has more than {PIPE_CHARS:,} characters")
    if not text.strip():
        raise click.UsageError("no question: give one, or run it in a terminal")
    return text


def _answer(
    endpoint: "Endpoint", model: str | None, question: str, system: str | None, *, as_json: bool
) -> None:
    import asyncio

    from ops.chat import once

    show = None if as_json else _show
    answer = asyncio.run(once(endpoint, model, question, system, show))
    if as_json:
        shown = {
            "model": answer.model,
            "answer": answer.text,
            "finish_reason": answer.finish_reason,
            "usage": answer.usage,
            "fallback": answer.fallback,
        }
        click.echo(json.dumps(shown, ensure_ascii=False))
    else:
        click.echo()


def _converse(endpoint: "Endpoint", model: str | None, system: str | None) -> None:
    import asyncio

    from ops.chat import Chat
    from ops.conversation import Conversation

    async def resolved() -> str:
        async with endpoint.client() as client:
            return await client.resolved(model)

    talk = Conversation(asyncio.run(resolved()), system)
    click.echo(f"{talk.model} at {endpoint.address.base_url}; /help says what there is", err=True)
    Chat(endpoint, talk, _terminal()).run()


def _terminal() -> "Terminal":
    from contextlib import suppress

    from ops.chat import Terminal

    with suppress(ImportError):
        import readline  # noqa: F401 - lines that can be edited, and those before them

    return Terminal(lambda: input("> "), _show, lambda line: click.secho(line, dim=True, err=True))


def _show(piece: str) -> None:
    """Text is text: what would move the cursor is left out."""
    click.echo("".join(c for c in piece if c.isprintable() or c in "\n\t"), nl=False)
