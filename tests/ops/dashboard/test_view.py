"""Facts become what is shown."""

from dataclasses import replace

import pytest

from deployments.serve_control import Application, Status
from ops.dashboard.facts import Facts
from ops.dashboard.html.cluster import cluster_panel
from ops.dashboard.html.in_flight import in_flight_panel
from ops.dashboard.html.tenants import tenants_panel
from ops.dashboard.view.health import Health, health_of, worst
from ops.dashboard.view.in_flight import MOST_SHOWN, in_flight
from ops.dashboard.view.page import Page, page
from ops.dashboard.view.request import matching, requests
from serving.in_flight import InFlight, RequestPhase
from serving.limits.terms import Limits
from serving.snapshot import Load
from serving.usage import Outcome
from tests.ops.dashboard.fake_fleet import FakeFleet, books, line, measured, under_way


async def seen(fleet: FakeFleet) -> Page:
    return page(await fleet.facts())


def test_nothing_at_all_is_a_page_too() -> None:
    made = page(Facts(0.0))
    assert not made.cluster.nodes
    assert not made.models
    assert not made.replicas
    assert made.verdict.health is Health.WELL


def test_a_state_that_nobody_knows_is_no_good_one() -> None:
    assert health_of("ready") is Health.WELL
    assert health_of("draining") is Health.BUSY
    assert health_of("exploding") is Health.ILL
    assert worst([]) is Health.WELL
    assert worst([Health.BUSY, Health.ILL, Health.WELL]) is Health.ILL


async def test_every_stage_sits_where_its_replica_says(fleet: FakeFleet) -> None:
    shown = (await seen(fleet)).cluster
    stages = {
        (slot.replica, slot.stage): node.name
        for node in shown.nodes
        for slot in node.slots
        if slot is not None
    }
    for name, report in fleet.reports.items():
        for number, address in enumerate(report.stages, start=1):
            assert stages[name, number] == address.replace("10.0.0.", "n")
    assert shown.total == 16
    assert shown.free == 4
    assert [model for _, model in shown.legend] == ["a", "b"]


async def test_without_an_inventory_nodes_are_those_that_were_heard_of(fleet: FakeFleet) -> None:
    facts = replace(await fleet.facts(), deployed=None)
    nodes = page(facts).cluster.nodes
    assert {node.address for node in nodes} == {"10.0.0.1", "10.0.0.2"}
    assert all(node.free == 0 for node in nodes)


async def test_a_model_without_a_replica_that_answers_is_ill_and_named(fleet: FakeFleet) -> None:
    fleet.falls_silent("b.0")
    made = await seen(fleet)
    assert [model.health for model in made.models] == [Health.WELL, Health.ILL]
    assert made.verdict.headline == "Something is wrong"
    assert made.verdict.reasons[0] == "b: no replica answers"


async def test_a_model_that_lost_one_of_its_replicas_is_changing_not_ill(fleet: FakeFleet) -> None:
    fleet.falls_silent("a.0")
    made = await seen(fleet)
    assert made.models[0].health is Health.BUSY
    assert made.models[0].ready == 1


async def test_a_models_figures_are_the_sums_that_everybody_is_told(fleet: FakeFleet) -> None:
    fleet.loads("a.0", Load(waiting=2, running=31, kv_use=0.6, tokens_per_s=100.0))
    fleet.loads("a.1", Load(running=1, kv_use=0.2, tokens_per_s=10.0))
    model = (await seen(fleet)).models[0]
    assert (model.running, model.waiting, model.tokens_per_s) == (32, 2, 110.0)
    assert model.kv_use == pytest.approx(0.4)


async def test_a_model_that_sleeps_on_purpose_is_well(fleet: FakeFleet) -> None:
    del fleet.reports["b.0"], fleet.applications["b.0"]
    model = next(model for model in (await seen(fleet)).models if model.name == "b")
    assert (model.health, model.ready, model.desired) == (Health.WELL, 0, 0)


async def test_a_replica_that_serve_gave_up_says_why(fleet: FakeFleet) -> None:
    fleet.fails("b.0", "Traceback\n  File x\nRuntimeError: out of memory")
    replica = next(each for each in (await seen(fleet)).replicas if each.name == "b.0")
    assert replica.health is Health.ILL
    assert replica.why == "RuntimeError: out of memory"


async def test_a_replica_that_gateways_leave_out_is_ill_though_it_calls_itself_ready(
    fleet: FakeFleet,
) -> None:
    fleet.left_out = ("a.0#1",)
    replica = (await seen(fleet)).replicas[0]
    assert (replica.state, replica.health) == ("ready", Health.ILL)
    assert "left out by 1 gateways" in replica.why


async def test_a_replica_that_has_not_reported_yet_is_shown_where_it_is_to_be(
    fleet: FakeFleet,
) -> None:
    del fleet.reports["a.0"]
    config = fleet.applications["a.0"].config
    fleet.applications["a.0"] = Application("a.0", Status.DEPLOYING, "", config, ())
    replica = (await seen(fleet)).replicas[0]
    assert (replica.state, replica.health) == ("deploying", Health.BUSY)
    assert replica.stages


async def test_neither_gateways_nor_the_dashboard_are_replicas(fleet: FakeFleet) -> None:
    assert {"flotilla", "flotilla-dashboard"} <= fleet.applications.keys()
    assert {each.name for each in (await seen(fleet)).replicas} == {"a.0", "a.1", "b.0"}


async def test_a_part_that_does_not_answer_is_the_first_thing_said(fleet: FakeFleet) -> None:
    fleet.problems = ("Controller: no answer within 3 s",)
    fleet.falls_silent("b.0")
    assert (await seen(fleet)).verdict.reasons[0] == "Controller: no answer within 3 s"


async def test_requests_that_replicas_died_with_are_said(fleet: FakeFleet) -> None:
    fleet.quarantined = 2
    assert "2 requests that replicas died with" in (await seen(fleet)).verdict.reasons[0]


async def test_a_key_shows_its_limits_and_its_usage_and_whether_it_holds(fleet: FakeFleet) -> None:
    tenant = (await seen(fleet)).tenants[0]
    key = tenant.keys[0]
    assert (key.state, key.requests, key.tokens) == ("valid", 12, 3456)
    assert key.limits == ("concurrent 4",)
    assert (tenant.requests, tenant.priority) == (12, "standard")
    revoked = replace(books().keys[0], revoked_s=5)
    expired = replace(books().keys[0], expires_s=5)
    fleet.books = replace(books(), keys=(revoked, expired))
    assert [key.state for key in (await seen(fleet)).tenants[0].keys] == ["revoked", "expired"]


async def test_money_is_in_the_currency_of_the_prices_and_refusals_are_whose_limit_it_was(
    fleet: FakeFleet,
) -> None:
    limits = Limits(nanos_per_month=12_500_000_000)
    tenant, usage = books().tenants[0], books().usage[0]
    fleet.books = replace(
        books(),
        tenants=(replace(tenant, limits=limits),),
        usage=(replace(usage, cost_nanos=250_000_000),),
    )
    fleet.refused = {"Abcd1234": 3, "tenant:default": 5, "gone": 7}
    (shown,) = (await seen(fleet)).tenants
    assert shown.limits == ("budget per month 12.5",)
    assert (shown.refused, shown.keys[0].refused) == (5, 3)
    said = tenants_panel((shown,)).html
    assert "0.25" in said
    assert "refused/min" in said


async def test_events_are_newest_first_whoever_wrote_them_down(fleet: FakeFleet) -> None:
    fleet.events = [{"at_s": 5.0, "kind": "scaling", "subject": "a", "text": "1 -> 2"}]
    newest, oldest = (await seen(fleet)).events
    assert (newest.kind, newest.text) == ("act", "CreateKey by root")
    assert (oldest.kind, oldest.subject, oldest.text) == ("scaling", "a", "1 -> 2")


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_end_of_a_request_has_its_words(outcome: Outcome) -> None:
    (view,) = requests([line(outcome=outcome)], {"Abcd1234": "laptop"})
    assert view.key == "laptop"
    assert view.story.startswith("asked a; a.0#1 was sent it; ")


def test_a_story_tells_the_fallback_the_tries_and_what_it_cost() -> None:
    told = line(model_answered="b", attempts=3, cached_tokens=8, is_estimated=True)
    (view,) = requests([told], {})
    assert view.story == (
        "asked a; fell back to b; a.0#1 was sent it; the last of 3 tries; complete; "
        "10 prompt tokens, 8 of them cached, 5 made (our own count)"
    )


def test_requests_are_found_by_what_is_said_of_them() -> None:
    every = requests([line(1), line(2, "b"), line(3, outcome=Outcome.CUT)], {})
    assert [view.model_asked for view in matching(every, "ASKED B", 10)] == ["b"]
    assert [view.outcome for view in matching(every, "cut", 10)] == ["cut"]
    assert len(matching(every, "", 2)) == 2


async def test_a_request_in_flight_says_whose_it_is_where_and_how_far(fleet: FakeFleet) -> None:
    queued = under_way(2, phase=RequestPhase.QUEUE, replica_id="", tokens=None, attempts=0)
    fleet.in_flight = InFlight((under_way(1, model_answers="b"), queued), 2)
    view = (await seen(fleet)).in_flight
    (first, second) = view.rows
    assert (first.key, first.phase, first.health) == ("laptop", "streams", Health.WELL)
    assert (second.phase, second.health) == ("waits for its turn", Health.BUSY)
    panel = in_flight_panel(view)
    rows = list(panel.items.values())
    assert "a, answered by b" in rows[0]
    assert rows[1].count("<td>-</td>") == 2
    assert "2 of all gateways" in panel.frame


@pytest.mark.parametrize("phase", list(RequestPhase))
def test_every_phase_of_a_request_has_its_words(phase: RequestPhase) -> None:
    (row,) = in_flight(InFlight((under_way(phase=phase),), 1), {}).rows
    assert row.phase
    assert row.key == "Abcd1234"


def test_of_many_requests_in_flight_the_oldest_are_shown_and_what_is_missing_is_said() -> None:
    every = tuple(map(under_way, range(100)))
    panel = in_flight_panel(in_flight(InFlight(every, 4_321, ("gateway.7",)), {}))
    assert len(panel.items) == MOST_SHOWN
    assert f"the {MOST_SHOWN} oldest of 4,321" in panel.frame
    assert "without those of gateway.7" in panel.frame


async def test_a_node_shows_its_hottest_accelerator_its_memory_and_how_busy_it_is(
    fleet: FakeFleet,
) -> None:
    fleet.measured = {"10.0.0.1": (measured(0, 61), measured(1, 74), measured(2, None))}
    view = (await seen(fleet)).cluster
    known, unknown = view.nodes
    assert (known.hottest_c, known.memory_used_bytes) == (74, 180 << 30)
    assert unknown.hottest_c is unknown.utilisation is unknown.memory_total_bytes is None
    first, second = cluster_panel(view).items.values()
    assert "74 °C 180/240 GiB 90%" in first
    assert "1: 74 °C, 60.0 of 80.0 GiB, 90%" in first
    assert "2: -, 60.0 of 80.0 GiB, 90%" in first
    assert '<div class="measured">-</div>' in second
