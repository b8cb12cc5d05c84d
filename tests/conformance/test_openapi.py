"""The document says what the gateway does: Schemathesis makes requests of it that fit and requests
that do not, and holds the answers against it.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.gateway import openapi
from serving.protocol import field
from tests.conformance.served import served
from tests.serving.gateway.rig import KEY, Rig

#: The key comes from the session; it is not Schemathesis' to change.
SCHEMA = schemathesis.openapi.from_dict({**openapi.describe(), "security": []})
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}
GENERATING = ("POST /v1/chat/completions", "POST /v1/completions")
EXAMPLES = 80
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
#: What a schema does not say: rules between fields, what is inside a caller's own schema, what
#: is JSON inside a string, and what only the window decides.
BEYOND_A_SCHEMA = re.compile(
    r"top_logprobs|stream_options|tool_choice.*|max_tokens|min_tokens|best_of|prompt|messages"
    r"|tools\[\d+\]\.function\.(name|parameters.*)|response_format\.json_schema\.schema.*"
    r"|messages\[\d+\]\.(content|tool_call_id|tool_calls\[\d+\]\.(id|function\.arguments))"
)


def bounded(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # what it finds is small enough, and shrinking takes minutes
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with served(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        yield session


def answer(rig: Rig, session: requests.Session, case: Case) -> requests.Response:
    """Sends it as it is, and holds what comes back against the document."""
    response = case.call(base_url=f"http://127.0.0.1:{rig.port}", session=session)
    case.validate_response(response, checks=CHECKS)
    return response


@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_what_fits_the_document_is_answered(
    rig: Rig, session: requests.Session, label: str
) -> None:
    accepted = []

    @bounded(EXAMPLES if label in GENERATING else 3)
    @given(OPERATIONS[label].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def ask(case: Case) -> None:
        if isinstance(case.body, dict):
            case.body["model"] = "tiny"
            case.body.pop("stream", None)
            case.body.pop("stream_options", None)
        response = answer(rig, session, case)
        accepted.append(response.status_code == 200)
        if response.status_code == 400:
            param = json.loads(response.text)["error"]["param"]
            assert BEYOND_A_SCHEMA.fullmatch(param), (param, case.body)

    ask()
    if label != "GET /v1/models/{model}":
        # How many depends on the constants that Hypothesis finds in whatever is loaded.
        assert any(accepted)


@pytest.mark.parametrize("label", GENERATING)
def test_what_does_not_fit_the_document_is_refused(
    rig: Rig, session: requests.Session, label: str
) -> None:
    engine = rig.replicas[0]

    @bounded(EXAMPLES)
    @given(OPERATIONS[label].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def ask(case: Case) -> None:
        engine.calls.clear()
        response = answer(rig, session, case)
        assert response.status_code in (400, 415), (response.status_code, case.body, case.headers)
        assert engine.calls == []

    ask()


def test_the_document_is_the_one_that_the_gateway_serves(
    rig: Rig, session: requests.Session
) -> None:
    served_document: dict[str, Any] = session.get(
        f"http://127.0.0.1:{rig.port}/openapi.json"
    ).json()
    assert served_document == json.loads(openapi.document())
    assert requests.get(f"http://127.0.0.1:{rig.port}/openapi.json", timeout=5).status_code == 401


def test_every_field_of_the_allow_list_is_in_the_document() -> None:
    for path, record in (
        ("/v1/chat/completions", field.CHAT),
        ("/v1/completions", field.COMPLETION),
    ):
        operation = openapi.describe()["paths"][path]["post"]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        assert set(body["properties"]) == {*record.kept, *record.dropped, *record.refused}
        assert body["additionalProperties"] is False
