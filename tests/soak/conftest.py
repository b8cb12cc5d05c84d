"""All of a soak runs on uvloop, as `python -m tests.soak` does."""

from tests.serving.gateway.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
