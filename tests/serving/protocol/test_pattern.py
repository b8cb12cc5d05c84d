"""Which regular expressions a caller's schema may hold."""

import pytest

from serving import bounds
from serving.protocol.pattern import Refused, check_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "^$",
        "abc",
        "^[A-Z]{2}-\\d{4}$",
        "^(\\d+\\.)*\\d+$",
        "(?:a|b|)c",
        "[^\\]\\\\-]+",
        "[a-]",
        "[-a]",
        "\\u00e9\\x41\\/\\-",
        "(a{10}){10}",
        "(a?){3}",
        f"a{{{bounds.PATTERN_REPEATS}}}",
        "^(GET|POST) /[a-z/]*$",
    ],
)
def test_a_plain_pattern_is_taken(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "does not close"),
        (")", "is not open"),
        ("[a", "not a whole"),
        ("[]", "empty class"),
        ("[z-a]", "backwards"),
        ("[\\d-a]", "backwards or is none"),
        ("a**", "lazy, possessive or repeated"),
        ("a+?", "lazy, possessive or repeated"),
        ("a++", "lazy, possessive or repeated"),
        ("^*", "no meaning"),
        ("|*", "no meaning"),
        ("a{,3}", "without counts"),
        ("a{x}", "without counts"),
        ("a{3,2}", "less at most"),
        ("a{257}", "more than 256 times"),
        ("(?=a)", "not plain"),
        ("(?P<n>a)", "not plain"),
        ("(a)\\1", "escape that is not taken"),
        ("\\bword", "escape that is not taken"),
        ("\\p{L}", "escape that is not taken"),
        ("\\u00e", "not whole"),
        ("a\\", "not a whole"),
        ("(a+)+", "ends in a repeat"),
        ("((a+))+", "ends in a repeat"),
        ("(a+b?){2}", "ends in a repeat"),
        ("(x|a*)*", "ends in a repeat"),
        ("(a?)*", "may be empty"),
        ("(a{100}){100}", "unrolls"),
        ("(" * 17 + ")" * 17, "groups in each other"),
        ("a\n", "control character"),
    ],
)
def test_what_is_not_plain_is_refused_with_the_reason(pattern: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        check_pattern(pattern)
