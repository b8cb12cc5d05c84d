"""The page in a real browser: it shows the truth, moves by itself, and does what it is told."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from deployments.ledger.acts import CreateKey, RestartReplica, ScaleModel
from deployments.ledger.notes import ended
from deployments.past_fleets import PastFleets
from serving.in_flight import InFlight, RequestPhase
from serving.snapshot import Load
from tests.browser import opened, sign_in
from tests.deployments.test_plan import models, nodes
from tests.ops.dashboard.fake_fleet import FakeFleet, books, figures, line, measured, under_way
from tests.ops.dashboard.site import KEY, Site

#: What the README shows.
SCREENSHOTS = Path(__file__).parents[3] / "ops" / "dashboard" / "screenshots"
LOADED_MS = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
LETTERS = "[...document.querySelectorAll('.stage')].map((each) => each.textContent).join('').length"
SMALLER = "models: {a: {source: org/x, max_model_len: 8192, tensor: 4, replicas: {min: 2, max: 3}}}"
SCRIPT = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


def test_the_page_says_first_whether_all_is_well_and_maps_every_accelerator(page: Page) -> None:
    expect(page.locator("#verdict .headline")).to_contain_text("All is well: 2 models are served")
    expect(page.locator("#cluster .node")).to_have_count(2)
    expect(page.locator("#cluster .stages")).to_have_text(["AAAABBBB", "AAAA····"])
    expect(page.locator("[id='model-a']")).to_contain_text("2 of 2")
    expect(page.locator("[id='model-a']")).to_contain_text("120 ms / 900 ms")


def test_figures_move_without_reloading(page: Page, fleet: FakeFleet) -> None:
    fleet.loads("a.0", Load(waiting=3, running=77, kv_use=0.5, tokens_per_s=1234.0))
    fleet.figures["a"] = figures("a", requests=4321)
    expect(page.locator("[id='replica-a.0']")).to_contain_text("1,234")
    expect(page.locator("[id='model-a']")).to_contain_text("4,321")


def test_a_request_in_flight_is_shown_grows_and_goes(page: Page, fleet: FakeFleet) -> None:
    fleet.in_flight = InFlight((under_way(phase=RequestPhase.PREFILL, tokens=0),), 1)
    shown = page.locator("#in-flight tbody tr")
    expect(shown).to_contain_text("prefill")
    fleet.in_flight = InFlight((under_way(tokens=1_234),), 1)
    expect(shown).to_contain_text("streams")
    expect(shown).to_contain_text("1,234")
    fleet.in_flight = InFlight()
    expect(shown).to_have_count(0)
    expect(page.locator("#in-flight")).to_contain_text("none")


def test_a_replica_that_falls_silent_turns_red_on_the_map_and_in_the_verdict(
    page: Page, fleet: FakeFleet
) -> None:
    fleet.falls_silent("a.0")
    expect(page.locator("#verdict.ill")).to_contain_text("a.0 is silent")
    expect(page.locator("#cluster .stage.ill")).to_have_text("AAAA")
    expect(page.locator("[id='replica-a.0'] .badge.ill")).to_contain_text("✕ silent")


def test_a_node_that_is_gone_is_named_first(page: Page, fleet: FakeFleet) -> None:
    fleet.live = {"10.0.0.1"}
    expect(page.locator("#verdict li").first).to_have_text("node n2 (10.0.0.2) is gone")
    expect(page.locator("[id='node-10.0.0.2'].gone")).to_contain_text("gone")


def test_a_suspect_node_is_named_and_its_replicas_stay_on_the_map(
    page: Page, fleet: FakeFleet
) -> None:
    fleet.suspects = {"10.0.0.1": "suspect: its driver answers for 7 of 8 accelerators"}
    expect(page.locator("#verdict.ill li").first).to_have_text(
        "node n1 (10.0.0.1) is suspect: its driver answers for 7 of 8 accelerators; "
        "nothing starts there"
    )
    expect(page.locator("[id='node-10.0.0.1'] .badge.ill")).to_contain_text("suspect")
    expect(page.locator("[id='node-10.0.0.1'] .stage:not(.free)").first).to_be_visible()


def test_without_a_key_everything_is_shown_and_nothing_is_done(
    page: Page, fleet: FakeFleet
) -> None:
    page.locator("[id='replica-a.0'] button", has_text="restart").click()
    expect(page.locator("#dialog")).to_contain_text("Sign in first")
    assert fleet.acts == []


def test_a_replica_is_restarted_after_its_consequences_were_shown(
    page: Page, site: Site, fleet: FakeFleet
) -> None:
    sign_in(page, site.url, KEY)
    page.locator("[id='replica-a.0'] button", has_text="restart").click()
    expect(page.locator("#dialog")).to_contain_text("1 others of a are ready")
    page.screenshot(path=_picture("restart"))
    page.click("#dialog button[type=submit]")
    expect(page.locator("#dialog")).to_contain_text("Done")
    assert fleet.acts == [(RestartReplica("a.0", "a.0#1"), "ada (dashboard)")]


def test_an_order_for_a_replica_that_was_started_anew_is_refused(
    page: Page, site: Site, fleet: FakeFleet
) -> None:
    sign_in(page, site.url, KEY)
    page.locator("[id='replica-a.0'] button", has_text="drain").click()
    fleet.starts_anew("a.0")
    page.click("#dialog button[type=submit]")
    expect(page.locator("#dialog [role=alert]")).to_contain_text("started anew meanwhile")
    assert fleet.acts == []


def test_a_model_is_scaled_and_a_number_beyond_its_fleet_file_is_refused(
    page: Page, site: Site, fleet: FakeFleet
) -> None:
    sign_in(page, site.url, KEY)
    for count, said in (("4", "a has 2 to 3 replicas by its fleet file"), ("3", "Done")):
        page.locator("[id='model-a'] button").click()
        page.fill("#dialog input[name=count]", count)
        page.click("#dialog button[type=submit]")
        expect(page.locator("#dialog")).to_contain_text(said)
        page.click("#dialog [data-close]")
    assert fleet.acts == [(ScaleModel("a", 3, 2), "ada (dashboard)")]


def test_a_key_is_made_and_shown_once(page: Page, site: Site, fleet: FakeFleet) -> None:
    sign_in(page, site.url, KEY)
    page.locator("#tenants button", has_text="make a key").click()
    page.fill("#dialog input[name=name]", "editor")
    page.fill("#dialog input[name=concurrent]", "2")
    page.click("#dialog button[type=submit]")
    expect(page.locator("#dialog .secret")).to_have_text("sk-Made1234-secret")
    act, _ = fleet.acts[0]
    assert isinstance(act, CreateKey)
    assert (act.name, act.limits.concurrent) == ("editor", 2)


def test_a_fleet_is_made_to_run_after_its_plan_and_the_one_before_after_its_own(
    page: Page, site: Site, fleet: FakeFleet, tmp_path: Path
) -> None:
    PastFleets(tmp_path).add(fleet.fleet, 1.0)
    file = tmp_path / "smaller.yaml"
    file.write_text("models: {a: {source: org/x, max_model_len: 8192, tensor: 4}, c: }")
    sign_in(page, site.url, KEY)
    page.goto(f"{site.url}/fleet")
    page.set_input_files("input[type=file]", file)
    expect(page.locator("textarea")).to_have_value(file.read_text())
    page.click("text=Show its plan")
    expect(page.locator("#plan [role=alert]")).to_contain_text("smaller.yaml:1: models.c: ")
    file.write_text(SMALLER)
    page.set_input_files("input[type=file]", [])
    page.set_input_files("input[type=file]", file)
    expect(page.locator("textarea")).to_have_value(SMALLER)
    page.click("text=Show its plan")
    expect(page.locator("#plan pre")).to_contain_text("stop    b.0")
    page.screenshot(path=_picture("plan"))
    page.click("#plan button[type=submit]")
    expect(page.locator("#progress")).to_contain_text("done: the fleet runs")
    expect(page.locator("#progress li").last).to_contain_text("remove b.0: done in")
    assert "b.0" not in fleet.applications
    page.click("#past button")
    expect(page.locator("#plan pre")).to_contain_text("start   b.0")
    page.click("#plan button[type=submit]")
    expect(page.locator("#progress")).to_contain_text("done: the fleet runs")
    assert "b.0" in fleet.applications
    noted = [(each.noted.who, each.noted.act.command) for each in ended(tmp_path)]
    assert noted == [("ada (dashboard)", "deploy"), ("ada (dashboard)", "rollback")]


def test_a_session_that_has_ended_elsewhere_says_so_and_does_nothing(
    page: Page, site: Site, fleet: FakeFleet
) -> None:
    sign_in(page, site.url, KEY)
    page.context.clear_cookies()
    page.locator("[id='replica-a.0'] button", has_text="restart").click()
    expect(page.locator("#dialog")).to_contain_text("Sign in first")
    assert fleet.acts == []


def test_script_in_names_is_text(page: Page, fleet: FakeFleet) -> None:
    fleet.books = books(SCRIPT, SCRIPT)
    fleet.lines = (line(1, SCRIPT),)
    fleet.in_flight = InFlight((under_way(model_asked=SCRIPT, tenant=SCRIPT),), 1, (SCRIPT,))
    fleet.events = [{"at_s": 1.8e9, "kind": "deploy", "subject": SCRIPT, "text": SCRIPT}]
    fleet.fails("b.0", SCRIPT)
    for where in ("#tenants", "#in-flight", "#requests", "#events", "#verdict"):
        expect(page.locator(where)).to_contain_text("<script>document.title")
    assert page.title() == "Flotilla"
    assert page.locator("main script, main img").count() == 0


def test_ten_thousand_requests_are_searched_and_a_hundred_are_shown(
    page: Page, fleet: FakeFleet
) -> None:
    fleet.lines = tuple(line(number) for number in range(10_000))
    expect(page.locator("#requests tbody tr")).to_have_count(100)
    page.fill("#search input", f"{9_999:032x}")
    page.press("#search input", "Enter")
    expect(page.locator("#found tbody tr")).to_have_count(1)
    expect(page.locator("#found")).to_contain_text("of the last 10,000")


def test_two_hundred_nodes_of_eight_are_shown_and_one_replica_of_them_moves(
    chromium: Browser, record_property: Callable[[str, object], None]
) -> None:
    fleet = FakeFleet(
        models(a="tensor: 8, pipeline: 2, replicas: {min: 99, max: 100}"), nodes(*[8] * 200)
    )
    with Site(fleet) as site, opened(chromium, site.url) as page:
        assert page.evaluate(LETTERS) == 1600
        record_property("loaded_ms", page.evaluate(LOADED_MS))
        fleet.falls_silent("a.7")
        expect(page.locator("#cluster .stage.ill")).to_have_text(["AAAAAAAA"] * 2)


def test_when_the_dashboard_is_gone_the_page_says_that_it_is_old(
    chromium: Browser, fleet: FakeFleet
) -> None:
    page = chromium.new_page()
    with Site(fleet) as site:
        page.goto(site.url)
        page.evaluate("heardAt = 0")
        page.route("**/live", lambda route: route.abort())
    expect(page.locator("#connection.lost")).to_contain_text("no news", timeout=10_000)
    page.close()


def test_on_a_phone_nothing_is_wider_than_the_screen(chromium: Browser, site: Site) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    page.goto(site.url)
    expect(page.locator("#verdict")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=_picture("phone-dark"))
    context.close()


def test_everything_that_acts_is_reached_by_keyboard(page: Page, site: Site) -> None:
    sign_in(page, site.url, KEY)
    page.locator("[id='replica-a.0'] button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#dialog-frame[open]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#dialog-frame[open]")).to_have_count(0)


def test_the_overview_is_pictured(page: Page, fleet: FakeFleet) -> None:
    fleet.loads("a.0", Load(waiting=2, running=31, kv_use=0.62, tokens_per_s=1830.0))
    fleet.loads("a.1", Load(running=28, kv_use=0.55, tokens_per_s=1712.0))
    fleet.falls_silent("b.0")
    fleet.measured = {
        f"10.0.0.{node}": (measured(0, 58 + node), measured(1, 66)) for node in (1, 2)
    }
    waiting = under_way(2, phase=RequestPhase.QUEUE, replica_id="", age_s=0.4, tokens=0, attempts=0)
    fleet.in_flight = InFlight((under_way(tokens=1_234), waiting), 2)
    expect(page.locator("#verdict.ill")).to_be_visible()
    expect(page.locator("#in-flight")).to_contain_text("waits for its turn")
    expect(page.locator("[id='replica-a.1']")).to_contain_text("1,712")
    page.screenshot(path=_picture("overview"))


def _picture(name: str) -> Path:
    SCREENSHOTS.mkdir(exist_ok=True)
    return SCREENSHOTS / f"{name}.png"
