"""The table of errors.md, walked."""

import json

import pytest

from serving.errors import ApiError, FieldError, Refusal, event, quote, to_http

TYPES = {
    "invalid_request_error",
    "rate_limit_error",
    "insufficient_quota",
    "server_error",
    "service_unavailable_error",
}


@pytest.mark.parametrize("refusal", Refusal)
def test_every_row_is_an_envelope_with_four_keys(refusal: Refusal) -> None:
    status, headers, body = to_http(ApiError(refusal, "Something is wrong."))
    error = json.loads(body)["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert error["type"] in TYPES
    assert error["code"] is None or isinstance(error["code"], str)
    assert (b"content-type", b"application/json") in headers
    assert status not in (408, 409, 422, 499)


@pytest.mark.parametrize("refusal", Refusal)
def test_what_clients_must_not_repeat_says_so(refusal: Refusal) -> None:
    _, headers, _ = to_http(ApiError(refusal, "x"))
    forbidden = {Refusal.INTERNAL, Refusal.DEADLINE_EXCEEDED, Refusal.INSUFFICIENT_QUOTA}
    assert ((b"x-should-retry", b"false") in headers) == (refusal in forbidden)


def test_a_message_stays_short() -> None:
    assert len(ApiError(Refusal.INTERNAL, "x" * 9_000).message) <= 500


def test_a_wait_is_between_one_and_sixty_seconds() -> None:
    for given, shown in ((0, b"1"), (7, b"7"), (900, b"60")):
        _, headers, _ = to_http(ApiError(Refusal.OVERLOADED, "x", retry_after_s=given))
        assert (b"retry-after", shown) in headers


def test_a_quote_is_short_and_printable() -> None:
    assert len(quote("x" * 5_000)) <= 64
    assert quote("a\x00\r\nb\u202e") == "a???b?"


def test_a_field_error_names_field_and_fine_code() -> None:
    error = FieldError("'n' is above 8.", "n", "integer_above_max_value")
    assert json.loads(event(error).removeprefix(b"data: "))["error"] == {
        "message": "'n' is above 8.",
        "type": "invalid_request_error",
        "param": "n",
        "code": "integer_above_max_value",
    }
