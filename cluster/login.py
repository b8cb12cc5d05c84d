"""How a node is logged in to over ssh. Pure: whether the key is there, and is let in, is found out
by bring-up.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from cluster.strict import Strict

#: What every image of Lambda's is made with.
DEFAULT_USER = "ubuntu"
DEFAULT_PORT = 22
MAX_KEY_CHARS = 1024


def _key_path(path: str) -> str:
    """Refuses what is surely no private key's path, and shows nothing of a key's own text."""
    if "-----BEGIN" in path or len(path) > MAX_KEY_CHARS:
        raise ValueError("holds a key instead of its path: put it in a file and name the file")
    if path.endswith(".pub"):
        raise ValueError(f"`{path}` is the public half: name the private one, without `.pub`")
    if not path.startswith(("/", "~/")) or path.endswith("/") or not path.isprintable():
        raise ValueError(f"{path!r} is no path of a key: it begins with `/` or `~/`")
    return path


#: Never an option of ssh: the first character is none.
User = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
KeyPath = Annotated[str, AfterValidator(_key_path)]


class NodeSsh(Strict):
    """What one node has for itself; the key is the same for all, since the head needs it too."""

    #: Instead of the inventory's.
    user: User | None = None
    #: Instead of the inventory's.
    port: Port | None = None


class Ssh(Strict):
    """A whole login."""

    #: Who logs in.
    user: User = DEFAULT_USER
    #: The private half; without it ssh takes the agent's or its own default.
    key: KeyPath | None = None
    #: Of the machine's ssh server.
    port: Port = DEFAULT_PORT

    def with_own(self, own: NodeSsh | None) -> "Ssh":
        """This login, with what a node has for itself."""
        if own is None:
            return self
        return Ssh(user=own.user or self.user, key=self.key, port=own.port or self.port)
