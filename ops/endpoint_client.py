"""An OpenAI-compatible endpoint as a command uses it: its models, and an answer as it comes.

Rules
- Every failure is an OpsError whose text names the next thing to try.
- A stream that does not end with `[DONE]` was cut, and that is said.
"""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

import aiohttp

from ops.endpoint import Address
from ops.errors import AnswerCut, EndpointRefused, EndpointSilent, KeyUnknown, NoSuchModel

#: Above the gateway's own deadline, so that its word comes first.
ANSWER_DEADLINE_S = 630.0
Message = dict[str, str]


class EndpointClient:
    """Use as an async context manager."""

    def __init__(self, address: Address, key: str) -> None:
        self._base_url = address.base_url
        self._headers = {"Authorization": f"Bearer {key}"}
        self._session = address.session(ANSWER_DEADLINE_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def models(self) -> tuple[str, ...]:
        """The names that the key may ask for. Raises OpsError."""
        url = f"{self._base_url}/models"
        try:
            async with self._session.get(url, headers=self._headers) as reply:
                await self._require(reply)
                listed = await reply.json()
            return tuple(str(each["id"]) for each in listed["data"])
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise EndpointSilent(self._base_url, _cause(error)) from error
        except (ValueError, LookupError, TypeError) as error:
            raise EndpointSilent(self._base_url, "what answers has no list of models") from error

    async def resolved(self, model: str | None) -> str:
        """The model, or the first there is. Raises NoSuchModel, OpsError."""
        names = await self.models()
        if not names or (model is not None and model not in names):
            raise NoSuchModel(model, names)
        return model or names[0]

    def ask(self, model: str, messages: Sequence[Message], **parameters: Any) -> "Answer":
        """An answer that comes as it is read."""
        body = {
            "model": model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            **{name: value for name, value in parameters.items() if value is not None},
        }
        return Answer(self, body)

    async def _require(self, reply: aiohttp.ClientResponse) -> None:
        """Raises OpsError for a status that is none of success."""
        if reply.status == 200:
            return
        if reply.status == 401:
            raise KeyUnknown(self._base_url)
        text = await reply.text(errors="replace")
        raise _refusal(self._base_url, reply.status, text)

    async def events(self, body: dict[str, Any], answer: "Answer") -> AsyncIterator[dict[str, Any]]:
        """What a stream says, up to its `[DONE]`. Raises OpsError."""
        url = f"{self._base_url}/chat/completions"
        try:
            async with self._session.post(url, json=body, headers=self._headers) as reply:
                await self._require(reply)
                answer.fallback = reply.headers.get("x-flotilla-fallback")
                async for line in reply.content:
                    if line.startswith(b"data: [DONE]"):
                        return
                    if line.startswith(b"data: "):
                        yield json.loads(line[6:])
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise EndpointSilent(self._base_url, _cause(error)) from error
        except ValueError as error:
            raise AnswerCut(f"{self._base_url} streamed what is no JSON") from error
        raise AnswerCut(f"{self._base_url} cut the answer: ask again")


class Answer:
    """Iterate over its pieces of text; the fields are complete after the last one."""

    def __init__(self, client: EndpointClient, body: dict[str, Any]) -> None:
        self._client = client
        self._body = body
        self.model = str(body["model"])
        #: What was said so far.
        self.text = ""
        #: Why it ended; None while it has not.
        self.finish_reason: str | None = None
        self.usage: dict[str, Any] | None = None
        #: `asked -> answered` where another model answered.
        self.fallback: str | None = None

    async def __aiter__(self) -> AsyncIterator[str]:
        async for event in self._client.events(self._body, self):
            if "error" in event:
                raise AnswerCut(str(event["error"].get("message", "the answer failed")))
            self.usage = event.get("usage") or self.usage
            for choice in event.get("choices") or ():
                piece = choice.get("delta", {}).get("content") or ""
                self.finish_reason = choice.get("finish_reason") or self.finish_reason
                self.text += piece
                yield piece


def _refusal(base_url: str, status: int, text: str) -> EndpointRefused:
    try:
        error = json.loads(text)["error"]
        return EndpointRefused(str(error["message"]), error.get("code"))
    except (ValueError, LookupError, TypeError):
        return EndpointRefused(f"{base_url} answered {status}, and is no gateway of ours", None)


def _cause(error: BaseException) -> str:
    return str(error) or type(error).__name__
