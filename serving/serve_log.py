"""What our processes say goes where Serve's own lines go: into the file that Serve keeps for the
process, which `flotilla logs` shows, and to where the process prints. In Serve's form too, which a
fleet chooses: lines for people, or JSON for programs.

Without it Python prints warnings alone, without their time, their level or whose they are.
"""

import logging
from collections.abc import Iterable

SERVE_LOGGER = "ray.serve"
OURS = ("cluster", "deployments", "ops", "serving")


class _ToServe(logging.Handler):
    """Serve replaces its handlers when its form changes: they are looked up with each line."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(SERVE_LOGGER).handle(record)


def join_serve_log(names: Iterable[str] = OURS, level: str = "INFO") -> None:
    """From now on the lines of these loggers are Serve's; for a process of Serve's alone."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers = [_ToServe()]
        logger.propagate = False
        logger.setLevel(level)
