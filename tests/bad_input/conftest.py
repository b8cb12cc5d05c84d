"""The gateway runs on uvloop wherever it runs for real, so it does here."""

from tests.serving.gateway.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
