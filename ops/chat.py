"""The loop of `flotilla chat`: reads a line, does what it says or asks the model, shows the answer
as it comes.

Rules
- Ctrl-C ends what is under way, an answer or a line, and never the program; Ctrl-D ends that.
- What was said of an answer that was cut stays a part of the conversation.
- An error is a line, and the conversation goes on.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.conversation import Conversation
from ops.endpoint import Address
from ops.endpoint_client import Answer, EndpointClient
from ops.errors import EndpointRefused, OpsError

TOO_LONG = "context_length_exceeded"
HELP = """\
/model [NAME]  go on with another model; without a name: which there are
/save FILE     write the conversation as a request's JSON
/clear         begin anew
/exit          leave (so does Ctrl-D); Ctrl-C cuts an answer"""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where the conversation is held."""

    #: The next line; raises EOFError at the end and KeyboardInterrupt for Ctrl-C.
    read: Callable[[], str]
    #: A piece of an answer, without a newline of its own.
    show: Callable[[str], None]
    #: A line that is not the model's.
    tell: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Whom to ask, and how."""

    address: Address
    key: str
    parameters: dict[str, Any]

    def client(self) -> EndpointClient:
        return EndpointClient(self.address, self.key)


class Chat:
    """One conversation on one terminal."""

    def __init__(self, endpoint: Endpoint, conversation: Conversation, terminal: Terminal) -> None:
        self._endpoint = endpoint
        self._talk = conversation
        self._terminal = terminal

    def run(self) -> None:
        """Until the end of input."""
        while True:
            try:
                line = self._terminal.read().strip()
            except KeyboardInterrupt:
                self._terminal.tell("Ctrl-D or /exit leaves")
                continue
            except EOFError:
                return
            if line in ("/exit", "/quit"):
                return
            self._take(line)

    def _take(self, line: str) -> None:
        try:
            if line.startswith("/"):
                self._obey(*line.partition(" ")[::2])
            elif line:
                self._ask(line)
        except OpsError as error:
            self._terminal.tell(str(error))

    def _obey(self, command: str, rest: str) -> None:
        rest = rest.strip()
        if command == "/model":
            asyncio.run(self._switch(rest or None))
        elif command == "/save" and rest:
            self._save(Path(rest).expanduser())
        elif command == "/clear":
            self._talk.clear()
        else:
            self._terminal.tell(HELP)

    async def _switch(self, model: str | None) -> None:
        async with self._endpoint.client() as client:
            if model is None:
                self._terminal.tell(" ".join(await client.models()))
            else:
                self._talk.switch(await client.resolved(model))

    def _save(self, path: Path) -> None:
        text = json.dumps(self._talk.transcript(), ensure_ascii=False, indent=2)
        try:
            path.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            self._terminal.tell(f"{path}: {error.strerror}")
        else:
            self._terminal.tell(f"wrote {path}")

    def _ask(self, question: str) -> None:
        said: list[Answer] = []
        try:
            asyncio.run(self._answered(question, said))
        except KeyboardInterrupt:
            self._terminal.show("\n")
            self._terminal.tell("cut")
        except OpsError:
            if said and said[-1].text:
                self._terminal.show("\n")
            raise
        finally:
            self._talk.add(question, said[-1].text if said else "")

    async def _answered(self, question: str, said: list[Answer]) -> None:
        async with self._endpoint.client() as client:
            while True:
                answer = client.ask(
                    self._talk.model, self._talk.messages(question), **self._endpoint.parameters
                )
                said.append(answer)
                try:
                    async for piece in answer:
                        self._terminal.show(piece)
                except EndpointRefused as refused:
                    if refused.code != TOO_LONG or not self._talk.shorten():
                        raise
                else:
                    self._terminal.show("\n")
                    self._close(answer)
                    return

    def _close(self, answer: Answer) -> None:
        """What a reader of the answer should know of it."""
        if answer.fallback is not None:
            self._terminal.tell(f"too long for its window: {answer.fallback}")
        if answer.finish_reason == "length":
            self._terminal.tell("stopped at its longest: --max-tokens allows more")
        if self._talk.left_out:
            self._terminal.tell(f"without the first {self._talk.left_out} turns: no room for them")


async def once(
    endpoint: Endpoint,
    model: str | None,
    question: str,
    system: str | None,
    show: Callable[[str], None] | None,
) -> Answer:
    """One question, one whole answer, shown as it comes. Raises OpsError."""
    async with endpoint.client() as client:
        talk = Conversation(await client.resolved(model), system)
        answer = client.ask(talk.model, talk.messages(question), **endpoint.parameters)
        async for piece in answer:
            if show is not None:
                show(piece)
    return answer
