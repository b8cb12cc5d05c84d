"""What lets the head be away and come back: where Ray keeps its state, and how long every process
waits for it. Pure: values for the environment of `ray start`.

Rules
1. The state is in a directory on the head's own disk. The head comes back when it is started again
   with that directory and at the same address; nothing else of it has to survive.
2. Patience is set on every node before `ray start`: raylets, agents and all they start inherit it,
   and whoever loses patience ends itself.
3. Patience is not how a dead node is found: the head asks nodes, and keeps its own time.
4. What was stopped on purpose is gone: with the directory, the next start would bring back every
   application.
"""

#: Ray's default is a minute. Ten are promised; an hour is for an operator who has to come first. A
#: node cannot harm anything meanwhile: what it serves it goes on serving, and a head that came back
#: without it turns it away at once.
PATIENCE_S = 3600


def environment_of_node() -> dict[str, str]:
    """For every node, the head too."""
    return {"RAY_gcs_rpc_server_reconnect_timeout_s": str(PATIENCE_S)}


def environment_of_head(state: str) -> dict[str, str]:
    """For the head; `state` is the directory, on a disk that survives a restart of the machine and
    that no other head uses.
    """
    return {
        **environment_of_node(),
        # In the head's own process, every write on disk before it counts: no server to install,
        # guard and start first, and no last second to lose.
        "RAY_gcs_storage": "rocksdb",
        "RAY_gcs_storage_path": state,
    }
