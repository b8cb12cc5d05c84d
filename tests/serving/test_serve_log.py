"""Lines of ours come out where Serve's do and as Serve's do, whatever form it has by then."""

import json
import logging
from collections.abc import Iterator

import pytest

from serving.serve_log import SERVE_LOGGER, join_serve_log

NAME = "flotilla-test-of-lines"


class Kept(logging.Handler):
    """A handler of Serve's, with the attributes that its JSON shows."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        request_id = getattr(record, "request_id", None)
        said = {"name": record.name, "message": record.getMessage(), "request_id": request_id}
        self.lines.append(json.dumps(said))


@pytest.fixture
def serve() -> Iterator[logging.Logger]:
    logger = logging.getLogger(SERVE_LOGGER)
    before = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [], False
    yield logger
    logger.handlers, logger.propagate = before
    logging.getLogger(NAME).handlers.clear()


def test_a_line_is_serves_with_its_request_and_follows_when_serve_changes_its_form(
    serve: logging.Logger,
) -> None:
    join_serve_log([NAME])
    ours = logging.getLogger(f"{NAME}.part")
    for handler in (Kept(), Kept()):
        serve.handlers = [handler]
        ours.warning("request %s died", 7, extra={"request_id": "abc"})
        assert json.loads(handler.lines[0]) == {
            "name": f"{NAME}.part",
            "message": "request 7 died",
            "request_id": "abc",
        }
        assert len(handler.lines) == 1


def test_only_what_is_loud_enough_is_said(serve: logging.Logger) -> None:
    handler = Kept()
    serve.handlers = [handler]
    for level, heard in (("WARNING", 0), ("INFO", 1), ("INFO", 1)):
        handler.lines.clear()
        join_serve_log([NAME], level)
        logging.getLogger(NAME).info("quietly")
        assert len(handler.lines) == heard
