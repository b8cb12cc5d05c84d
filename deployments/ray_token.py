"""The token of the Ray cluster, for its dashboard and for drivers."""

from os import environ
from pathlib import Path


def ray_headers() -> dict[str, str]:
    """What a call to Ray's dashboard carries."""
    token = ray_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def ray_token() -> str:
    """The cluster's token, found where Ray looks for it; empty when there is none."""
    if token := environ.get("RAY_AUTH_TOKEN"):
        return token.strip()
    path = Path(environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""
