"""An ssh config is read as OpenSSH reads it, or refused with its line."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.ssh_config import MAX_NAMES, SshHost, read_hosts
from cluster.ssh_inventory import Roles, draft_of_ssh, role_problems
from cluster.ssh_lines import MAX_BYTES
from deployments.errors import InventoryInvalid
from deployments.inventory_file import drafted, parse_inventory
from deployments.inventory_text import inventory_text

ROLES = Roles("c", "h100-sxm-80gb", 8)
WORDS = ["Host", "HostName", "User", "Port", "IdentityFile", "ProxyJump", "Include", "a", "b"]
SIGNS = ["*", "!a", "10.0.0.1", "10.0.0.2", "~/.ssh/k", "22", '"', "=", "#", "%h", "\n", " "]


def hosts(text: str) -> list[SshHost]:
    found, wrong = read_hosts(text.encode(), "config")
    assert wrong == []
    return found


def test_the_first_value_wins_and_later_blocks_fill_the_gaps() -> None:
    (host,) = hosts("Host a\nHostName %h.lan\nUser x\nHost * !b\nUSER y\nPort 23\nHost b\nPort 1\n")
    assert (host.get("hostname"), host.get("user"), host.get("port")) == ("a.lan", "x", "23")


def test_patterns_and_hosts_without_a_hostname_are_no_hosts() -> None:
    assert hosts("Host *\nUser x\nHost a?\nHostName 1.2.3.4\nHost c\nUser y\n") == []


def test_brackets_and_many_stars_are_plain_and_quick() -> None:
    stars = "*a" * 2000
    assert hosts(f"Host {'a' * 4000}\nHost {stars}\nHostName x\nHost [ab]\nUser y\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Include ~/.ssh/other", "config:1: `Include` is not followed"),
        ("\nMatch all", "config:2: `Match` depends on more"),
        ('Host "a', "config:1: has a quote"),
        ("Host", "config:1: `Host` needs a name"),
        ("Host a\nHostName x y", "config:2: `HostName` needs one value"),
        ("Host a\nHostName %n", "config:2: `%n` is not taken"),
        ("Host a\nHostName x\nHost a\nHostName y", "config:3: `Host a` stands on line 1"),
        ("Host a\n-x", "config:2: '-x' begins with no keyword"),
        ("Host " + "a " * (MAX_NAMES + 1), "config:1: has more than"),
        ("#" * (MAX_BYTES + 1), "config:1: is larger than 256 KiB"),
    ],
)
def test_what_cannot_be_taken_is_named_with_its_line(text: str, said: str) -> None:
    _, wrong = read_hosts(text.encode(), "config")
    assert str(wrong[0]).startswith(said)


def check(raw: bytes) -> None:
    found, wrong = read_hosts(raw, "config")
    if wrong or list(role_problems(found, ROLES, "config")):
        return
    draft = draft_of_ssh(found, ROLES)
    with suppress(InventoryInvalid):
        made = drafted(draft, "config")
        assert parse_inventory(inventory_text(made, draft.notes).encode(), "made") == made


@given(st.binary(max_size=300))
def test_any_bytes_are_an_inventory_or_problems(raw: bytes) -> None:
    check(raw)


@given(st.lists(st.sampled_from([*WORDS, *SIGNS]), max_size=40))
def test_any_words_of_a_config_are_an_inventory_or_problems(words: list[str]) -> None:
    check(" ".join(words).encode())
