"""What the dashboard answers to requests that no page of ours makes, over real HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlencode

import pytest

from ops.dashboard.guard import CONTENT_POLICY
from tests.ops.dashboard.fake_fleet import FakeControl, FakeFleet
from tests.ops.dashboard.site import KEY, Site

FORM = {"content-type": "application/x-www-form-urlencoded"}
RESTART = urlencode({"replica": "a.0", "replica_id": "a.0#1"})


@contextmanager
def asked(
    site: Site,
    path: str,
    body: str | None = None,
    headers: dict[str, str] | None = None,
) -> Iterator[HTTPResponse]:
    connection = HTTPConnection("127.0.0.1", site.port, timeout=10)
    try:
        more = {**(FORM if body is not None else {}), **(headers or {})}
        connection.request("GET" if body is None else "POST", path, body, more)
        yield connection.getresponse()
    finally:
        connection.close()


def status(
    site: Site, path: str, body: str | None = None, headers: dict[str, str] | None = None
) -> int:
    with asked(site, path, body, headers) as reply:
        reply.read()
        return reply.status


def signed_in(site: Site) -> dict[str, str]:
    """The headers of a page of ours after signing in: the second secret is the token."""
    with asked(site, "/sign-in", urlencode({"name": "ada", "key": KEY})) as reply:
        assert reply.status == 303
        cookie = reply.getheader("set-cookie", "")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    return {"cookie": cookie.split(";")[0], "x-csrf-token": "secret-1"}


def test_every_answer_forbids_code_and_frames_of_others(site: Site) -> None:
    for path in ("/", "/sign-in", "/assets/dashboard.js", "/nowhere"):
        with asked(site, path) as reply:
            assert reply.getheader("content-security-policy") == CONTENT_POLICY
            assert reply.getheader("x-content-type-options") == "nosniff"
            assert reply.getheader("server") is None


def test_a_file_of_ours_is_sent_once_and_a_page_is_never_kept(site: Site) -> None:
    with asked(site, "/assets/htmx.min.js") as reply:
        assert reply.getheader("cache-control") == "no-cache"
        tag = reply.getheader("etag", "")
    assert status(site, "/assets/htmx.min.js", headers={"if-none-match": tag}) == 304
    with asked(site, "/") as reply:
        assert reply.getheader("cache-control") == "no-store"


def test_no_page_holds_code_or_style_of_its_own(site: Site) -> None:
    for path in ("/", "/sign-in", "/playground"):
        with asked(site, path, headers=signed_in(site)) as reply:
            text = reply.read().decode()
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick=" not in text
        assert text.count("<script") == text.count("<script src=")


def test_a_foreign_host_is_refused_whatever_it_asks(site: Site) -> None:
    for path in ("/", "/live", "/assets/dashboard.js"):
        assert status(site, path, headers={"host": "evil.example"}) == 421


def test_an_act_without_a_key_is_refused(site: Site, fleet: FakeFleet) -> None:
    assert status(site, "/acts/restart", RESTART) == 401
    assert status(site, "/playground", "{}") == 401
    assert fleet.acts == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"x-csrf-token": "guessed"},
        {"x-csrf-token": ""},
    ],
)
def test_a_post_of_another_site_is_refused_though_it_has_the_cookie(
    site: Site, fleet: FakeFleet, headers: dict[str, str]
) -> None:
    assert status(site, "/acts/restart", RESTART, {**signed_in(site), **headers}) == 403
    assert fleet.acts == []


def test_the_same_post_of_our_own_page_is_obeyed(site: Site, fleet: FakeFleet) -> None:
    assert status(site, "/acts/restart", RESTART, signed_in(site)) == 200
    assert len(fleet.acts) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("replica=gone.7&replica_id=x", "gone.7 is not there any more"),
        ("replica=a.0&replica_id=a.0%23old", "started anew meanwhile"),
        ("replica=a.0", "replica id is missing"),
        (f"replica={'x' * 300}&replica_id=x", "replica is missing, or too long"),
    ],
)
def test_a_vanished_or_misnamed_replica_is_refused_in_words(
    site: Site, fleet: FakeFleet, body: str, said: str
) -> None:
    with asked(site, "/acts/restart", body, signed_in(site)) as reply:
        assert said in reply.read().decode()
    assert fleet.acts == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("model=a&count=3&seen=1", "by now, not 1: look again"),
        ("model=nobody&count=3&seen=1", "there is no nobody"),
        ("model=a&count=-1&seen=2", "count is no number"),
        ("model=a&count=9999999999999999999999&seen=2", "count is no number"),
        ("model=a&count=&seen=2", "say how many"),
    ],
)
def test_a_stale_or_impossible_number_of_replicas_is_refused_in_words(
    site: Site, fleet: FakeFleet, body: str, said: str
) -> None:
    with asked(site, "/acts/scale", body, signed_in(site)) as reply:
        assert said in reply.read().decode()
    assert fleet.acts == []


def test_what_is_larger_than_any_form_is_refused(site: Site) -> None:
    headers = signed_in(site)
    assert status(site, "/acts/restart", "x" * (17 << 10), headers) == 413
    assert status(site, "/acts/restart", "&".join(["a=b"] * 100), headers) == 413
    assert status(site, "/playground", "x" * ((1 << 20) + 1), {**headers, "x-api-key": "k"}) == 413


def test_a_fleet_is_for_who_signed_in_and_bounded(site: Site, control: FakeControl) -> None:
    headers = signed_in(site)
    for path in ("/fleet/plan", "/fleet/deploy"):
        assert status(site, path, "text=models") == 401
        assert status(site, path, "text=models", {**headers, "x-csrf-token": "guessed"}) == 403
        assert status(site, path, f"text={'x' * (800 << 10)}", headers) == 413
        with asked(site, path, f"text={'x' * (300 << 10)}", headers) as reply:
            assert "fleet.yaml:1: is larger than 256 KiB" in reply.read().decode()
    assert control.puts == 0


def test_a_log_is_for_who_signed_in_and_shown_as_text(site: Site) -> None:
    headers = signed_in(site)
    for given, said in (({}, "first."), (headers, "&lt;b&gt;bold&lt;/b&gt;")):
        with asked(site, "/log?replica=a.0", headers=given) as reply:
            assert said in reply.read().decode()
    with asked(site, "/log?replica=gone.1", headers=headers) as reply:
        assert "gone.1" in reply.read().decode()


def test_an_unknown_act_and_a_wrong_key_are_refused(site: Site) -> None:
    assert status(site, "/acts/explode", "", signed_in(site)) == 404
    assert status(site, "/acts/explode") == 404
    assert status(site, "/sign-in", urlencode({"name": "ada", "key": "no"})) == 401


def test_a_session_that_signed_out_acts_no_more(site: Site, fleet: FakeFleet) -> None:
    headers = signed_in(site)
    assert status(site, "/sign-out", "", headers) == 200
    assert status(site, "/acts/restart", RESTART, headers) == 401
    assert fleet.acts == []


def test_62_beyond_loopback_everything_but_signing_in_asks_for_the_key(fleet: FakeFleet) -> None:
    with Site(fleet, host="10.0.0.1") as site:
        for path in ("/", "/live", "/requests", "/playground", "/acts/scale?model=a"):
            assert status(site, path) == 303
        assert status(site, "/sign-in") == 200
        assert status(site, "/assets/dashboard.css") == 200
        assert status(site, "/", headers=signed_in(site)) == 200


def test_the_playground_refuses_a_key_that_is_none_and_says_when_nobody_answers(
    site: Site,
) -> None:
    headers = signed_in(site)
    assert status(site, "/playground", "{}", headers) == 400
    assert status(site, "/playground", "{}", {**headers, "x-api-key": "sk-x"}) == 502
