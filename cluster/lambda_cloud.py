"""Lambda's Cloud API, as far as an inventory needs it: the one module that talks to it.

Rules
1. The key goes to one host only: over TLS (plain HTTP to this machine); no redirect is followed.
2. One deadline over all attempts, a second and more between two of them (the API takes one a
   second), and a body of bounded size.
3. A refusal is told by its `code` alone; what the API says in words is never decided on.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from cluster.errors import CloudRefused, CloudUnreachable, PrerequisiteMissing

KEY_VARIABLE = "LAMBDA_API_KEY"
URL_VARIABLE = "LAMBDA_API_URL"
DEFAULT_URL = "https://cloud.lambda.ai/api/v1"
DEADLINE_S = 30.0
PAUSE_S = 1.1
ATTEMPTS = 3
#: Sixty-four nodes take less than a tenth of it.
MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_CODE_CHARS = 80
TOO_MANY = "global/quota-exceeded"
#: What to do, by the API's own code.
FIXES = {
    "global/invalid-api-key": f"the key in {KEY_VARIABLE} is not valid: make one in the console",
    "global/account-inactive": "the account is not active: see the console",
    "global/object-does-not-exist": "there is no such cluster for this key: check CLUSTER_ID",
    "global/invalid-parameters": "CLUSTER_ID is not one: check it in the console",
    TOO_MANY: "too many requests with this account's keys: wait a minute and try again",
}
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class LambdaCloud:
    """The API with a key."""

    key: str = field(repr=False)
    url: str = DEFAULT_URL
    deadline_s: float = DEADLINE_S
    pause_s: float = PAUSE_S

    def __post_init__(self) -> None:
        if not self.key:
            raise PrerequisiteMissing(f"{KEY_VARIABLE} is not set: put the Cloud API key there")
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key:
            raise PrerequisiteMissing(f"{KEY_VARIABLE} holds blanks or signs that no key has")
        if not _is_safe(self.url):
            raise PrerequisiteMissing(f"{URL_VARIABLE} must begin with https://")

    async def instances(self, cluster_id: str) -> list[Any]:
        """All that carry the cluster's id. Raises CloudUnreachable, CloudRefused."""
        try:
            async with asyncio.timeout(self.deadline_s):
                data = await self._instances({"cluster_id": cluster_id})
        except TimeoutError as late:
            raise self._unreachable(f"no whole answer in {self.deadline_s:.0f} s") from late
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError) as error:
            fix = "is its certificate trusted here? SSL_CERT_FILE names other authorities"
            raise self._unreachable(f"TLS failed: {fix}") from error
        except (aiohttp.ClientError, OSError) as error:
            cause = str(error) or type(error).__name__
            raise self._unreachable(f"{cause[:200]}; is there a way out to it?") from error
        if not isinstance(data, list):
            raise self._unreachable("answered without a list of instances")
        return data

    async def _instances(self, params: dict[str, str]) -> Any:
        """Asks again when told that it was too much."""
        headers = {"Authorization": f"Bearer {self.key}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            for _ in range(ATTEMPTS - 1):
                try:
                    return await self._get(session, params)
                except CloudRefused as refused:
                    if refused.code != TOO_MANY:
                        raise
                await asyncio.sleep(self.pause_s)
            return await self._get(session, params)

    async def _get(self, session: aiohttp.ClientSession, params: dict[str, str]) -> Any:
        url = f"{self.url.rstrip('/')}/instances"
        async with session.get(url, params=params, allow_redirects=False) as reply:
            body = await self._body(reply)
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            kind = "HTML" if reply.content_type == "text/html" else "something"
            text = f"answered {reply.status} with {kind} that is not JSON: check {URL_VARIABLE}"
            raise self._unreachable(f"{text}, and what proxy is between") from error
        if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
            raise _refused(answer["error"].get("code"))
        if reply.status != 200 or not isinstance(answer, dict):
            raise self._unreachable(f"answered {reply.status} without data or a code")
        return answer.get("data")

    async def _body(self, reply: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in reply.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise self._unreachable(f"answered with more than {MAX_BODY_BYTES >> 20} MiB")
        return bytes(body)

    def _unreachable(self, cause: str) -> CloudUnreachable:
        return CloudUnreachable(f"Lambda's Cloud API at {urlsplit(self.url).netloc}: {cause}")


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    has_tls = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    return has_tls and bool(parts.hostname) and "@" not in parts.netloc


def _refused(code: object) -> CloudRefused:
    known = code if isinstance(code, str) and code.isprintable() else "without a code"
    fix = FIXES.get(known, "see what the console says of this account")
    return CloudRefused(known, f"Lambda's Cloud API refused ({known[:MAX_CODE_CHARS]}): {fix}")
