"""A fleet file that is wrong says where and what would be right, all at once."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import FleetInvalid
from deployments.fleet import Fleet
from deployments.load import load, parse
from deployments.yaml_text import MAX_BYTES
from serving.money import Price as TokenPrice
from tests.deployments.fleets import fleet_of

HERE = Path("/fleets")


def fleet(text: str) -> Fleet:
    return parse(text.encode(), "fleet.yaml", HERE)


def problems(text: str | bytes) -> list[str]:
    raw = text.encode() if isinstance(text, str) else text
    with pytest.raises(FleetInvalid) as caught:
        parse(raw, "fleet.yaml", HERE)
    return [str(problem) for problem in caught.value.problems]


def models(body: str) -> str:
    return "models:\n" + body


SERVED = "  a:\n    source: org/a\n    max_model_len: 100\n"


def test_defaults_are_filled_in_and_the_order_of_models_is_kept() -> None:
    made = fleet(models("  z:\n    source: org/z\n    max_model_len: 10\n" + SERVED))
    assert list(made.models) == ["z", "a"]
    assert (made.device, made.gateway.host, made.gateway.port) == ("gpu", "127.0.0.1", 8000)
    assert made.grace_s == 600


def test_a_relative_source_starts_from_the_fleet_file() -> None:
    made = fleet(models("  a:\n    source: ../weights/a\n    max_model_len: 10\n"))
    assert made.served()["a"].source == "/weights/a"


@pytest.mark.parametrize(("number", "meant"), [("12:30:45", 45045), ("010000", 4096)])
def test_a_number_that_is_not_what_it_looks_like_is_refused(number: str, meant: int) -> None:
    said = problems(models(f"  a:\n    source: org/a\n    max_model_len: {number}\n"))
    assert said == [
        f"fleet.yaml:4: models.a.max_model_len: `{number}` means {meant} in YAML: "
        "write that, or put it in quotes"
    ]


def test_a_hugging_face_id_stays_as_it_is() -> None:
    assert fleet(models(SERVED)).served()["a"].source == "org/a"


def test_a_source_that_could_be_either_is_refused() -> None:
    said = problems(models("  a:\n    source: deployments/demo/model\n    max_model_len: 10\n"))
    assert said == [
        "fleet.yaml:3: models.a.source: is neither a path (begin it with `./` or `/`) "
        "nor a Hugging Face id"
    ]


def test_50_an_unknown_key_names_its_line_and_the_nearest_key() -> None:
    assert problems(models(SERVED + "    tensro: 2\n")) == [
        "fleet.yaml:5: models.a.tensro: is unknown; did you mean `tensor`?"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gatway: {}\n", "fleet.yaml:1: gatway: is unknown; did you mean `gateway`?"),
        ("gateway:\n  prot: 1\n", "fleet.yaml:2: gateway.prot: is unknown; did you mean `port`?"),
        (
            "gateway:\n  tls: {certificate: /c, key: k.pem}\n",
            "fleet.yaml:2: gateway.tls.key: is not an absolute path: every node has the file under "
            "the same one",
        ),
        ("gateway:\n  tls: {certificate: /c}\n", "fleet.yaml:2: gateway.tls.key: is needed"),
        (
            "gateway:\n  tls: {certificate: /c, kee: /k, key: /k}\n",
            "fleet.yaml:2: gateway.tls.kee: is unknown; did you mean `key`?",
        ),
        (
            "gateway:\n  port: '1'\n",
            "fleet.yaml:2: gateway.port: should be a valid integer, not '1'",
        ),
        (
            "gateway:\n  routing: fastest\n",
            "fleet.yaml:2: gateway.routing: should be 'prefix' or 'least-load', not 'fastest'",
        ),
        (
            "gateway:\n  replicas: 4\n",
            "fleet.yaml:2: gateway.replicas: is unknown: every live node has two gateways, "
            "and nobody counts them",
        ),
        ("grace_s: true\n", "fleet.yaml:1: grace_s: should be a valid integer, not True"),
        ("device: tpu\n", "fleet.yaml:1: device: should be 'gpu' or 'cpu', not 'tpu'"),
    ],
)
def test_a_mistake_above_the_models_is_found(text: str, said: str) -> None:
    assert problems(text + models(SERVED)) == [said]


def test_50_several_mistakes_are_reported_together_in_the_order_of_the_file() -> None:
    text = "gateway: {port: 0}\n" + models(
        SERVED
        + "    aliases: [b]\n"
        + "  b:\n    source: org/b\n    max_model_len: 0\n    engin: {}\n"
        + "  c:\n    replicas_of: d\n    max_model_len: 5\n"
    )
    found = problems(text)
    assert [line.split(": ")[0] for line in found] == [
        "fleet.yaml:1",
        "fleet.yaml:6",
        "fleet.yaml:9",
        "fleet.yaml:10",
        "fleet.yaml:12",
    ]
    assert "the name `b` is given more than once" in found[1]
    assert "there is no model `d`" in found[4]


def test_a_model_without_any_way_to_serve_it_is_told_the_three_ways() -> None:
    assert problems(models("  a:\n    max_model_len: 1\n")) == [
        "fleet.yaml:2: models.a.source: is needed, or `replicas_of`, or `unavailable`"
    ]


def test_a_model_that_is_no_mapping_is_told_the_three_ways() -> None:
    said = problems(models("  a: 5\n"))
    assert said[0].startswith("fleet.yaml:2: models.a: is not a model")


def test_what_belongs_to_the_owner_of_the_replicas_is_refused_on_a_model_that_shares_them() -> None:
    text = models(SERVED + "  b:\n    replicas_of: a\n    max_model_len: 5\n    tensor: 2\n")
    assert problems(text) == [
        "fleet.yaml:8: models.b.tensor: does not go together with `replicas_of`"
    ]


@pytest.mark.parametrize("name", ["-a", "a b", "a//b", "a/../b", "é", "a" * 129, "a/"])
def test_a_name_that_does_not_fit_into_a_url_is_refused(name: str) -> None:
    assert problems(models(SERVED + f"    aliases: ['{name}']\n"))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (models(SERVED + SERVED), 5, "stands here again, and first on line 2"),
        (models(SERVED + "    engine: {seed: 1, seed: 2}\n"), 5, "stands here again"),
        ("a: &x 1\nb: *x\n", 1, "anchors, aliases"),
        ("a: !!python/name:os.system x\n", 1, "tags are not taken"),
        ("<<: {a: 1}\n", 1, "merge keys"),
        ("a: 1\n---\nb: 2\n", 2, "more than one document"),
        ("x: " + "[" * 100_000, 1, "nested deeper"),
        ("models: {1: {}}\n", 1, "the key `1` is not text"),
        ("models: {[a]: 1}\n", 1, "is not text"),
        ("a: b: c\n", 1, "not YAML"),
        ("a: '\n", 2, "not YAML"),
        ("- a\n", 1, "is not a fleet"),
        ("", 1, "is not a fleet"),
        ("a: \x00\n", 1, "not YAML"),
        ("a: " + "9" * 5000, 1, "not YAML"),
    ],
)
def test_yaml_beyond_the_plain_kind_is_refused(text: str, line: int, said: str) -> None:
    found = problems(text)
    assert found[0].startswith(f"fleet.yaml:{line}: ")
    assert said in found[0]


def test_a_file_that_is_too_large_is_refused_before_it_is_read() -> None:
    assert problems(b"#" * (MAX_BYTES + 1)) == ["fleet.yaml:1: is larger than 256 KiB"]


def test_a_file_that_is_not_utf_8_says_where() -> None:
    assert problems(b"models:\n  \xff: {}\n") == ["fleet.yaml:2: is not UTF-8"]


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FleetInvalid, match="no such file"):
        load(tmp_path / "none.yaml")


def test_the_device_given_on_the_command_line_replaces_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text("device: cpu\n" + models(SERVED))
    assert load(path, "gpu").device == "gpu"
    with pytest.raises(FleetInvalid, match="kv_cache_memory_bytes"):
        load(path)


# Other processes share the machine's two cores: time says nothing here.
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_text_at_all_makes_the_loader_fail_in_another_way(text: str | bytes) -> None:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    with pytest.raises(FleetInvalid):
        parse(raw, "fleet.yaml", HERE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["source", "replicas_of", "unavailable", "max_model_len", "engine", "aliases", "fallback", "x"]
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.dictionaries(KEYS, JSON), max_size=3))
def test_any_values_in_the_place_of_models_are_accepted_or_refused_by_line(
    drawn: dict[str, object],
) -> None:
    text = json.dumps({"models": drawn}, allow_nan=False) if _finite(drawn) else "[]"
    said = ["fleet.yaml:1: "]
    try:
        fleet(text)
    except FleetInvalid as invalid:
        said = [str(problem) for problem in invalid.problems]
    assert all(problem.startswith("fleet.yaml:1: ") for problem in said)


def _finite(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ("{priorty: 1}", "models.a.scaling.priorty: is unknown; did you mean `priority`?"),
        ("{priority: 101}", "models.a.scaling.priority: should be less than or equal to 100"),
        ("{weight: 0}", "models.a.scaling.weight: should be greater than 0"),
        (
            "{weight: .nan}",
            "models.a.scaling.weight: should be less than or equal to 1000, not nan",
        ),
        ("{first_token_s: -1}", "models.a.scaling.first_token_s: should be greater than"),
        ("{idle_s: 1}", "models.a.scaling.idle_s: should be greater than or equal to 10"),
    ],
)
def test_what_scaling_cannot_be_is_named(scaling: str, message: str) -> None:
    text = f"models:\n  a: {{source: o/x, max_model_len: 9, scaling: {scaling}}}\n"
    with pytest.raises(FleetInvalid) as caught:
        fleet_of(text)
    assert message in str(caught.value.problems[0])


PRICED = "  a:\n    source: org/a\n    max_model_len: 100\n    price: {input: %s, output: 1}\n"


@pytest.mark.parametrize(("written", "nanos"), [("0.125", 125), ("3", 3_000), ("0", 0)])
def test_a_price_is_taken_as_it_is_written(written: str, nanos: int) -> None:
    price = fleet(models(PRICED % written)).served()["a"].price
    assert price is not None
    assert price.of_a_token() == TokenPrice(nanos, nanos, 1_000)


@pytest.mark.parametrize("written", ["-1", "0.0005", "1000001", ".nan", ".inf", "true", "dear"])
def test_what_is_no_price_is_refused_with_its_line(written: str) -> None:
    [said] = problems(models(PRICED % written))
    assert said.startswith("fleet.yaml:5: models.a.price.input: `")
    assert said.endswith(
        "is no price: give 0 to 1000000 for a million tokens, with at most three decimals"
    )


def test_an_unknown_part_of_a_price_is_refused_by_name() -> None:
    said = problems(models(PRICED.replace("output", "outptu") % "1"))
    assert "fleet.yaml:5: models.a.price.outptu: is unknown; did you mean `output`?" in said
