"""Acts and questions of an operator to the ledger, by way of the Controller that alone opens it."""

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.controller_client import call_controller
from ops.errors import LedgerRefused
from serving.keystore import home

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deployments.ledger.acts import Act
    from deployments.ledger.notes import Note
    from deployments.ledger.questions import Question


def perform(act: "Act") -> str:
    """What is to be shown once. Raises ServeError, OpsError."""
    return str(_value(call_controller("perform", act, operator())))


def answer(question: "Question") -> Any:
    """Raises ServeError, OpsError."""
    return _value(call_controller("answer", question))


def noted(command: str, path: Path | None) -> "AbstractContextManager[Note]":
    """Around an act that the ledger has no part in, inside `deployments.lock.alone`: its audit gets
    it from the Controller, which looks for such notes on its machine.
    """
    from deployments.ledger.notes import kept

    return kept(home(), operator(), command, path)


def operator() -> str:
    """Who runs this command, as the system knows and no variable says; for the audit."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _value(reply: Any) -> Any:
    if reply.refusal is not None:
        raise LedgerRefused(reply.refusal)
    return reply.value
