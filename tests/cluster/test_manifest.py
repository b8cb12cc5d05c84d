"""A manifest is what its maker wrote, or it is refused: it may come from anybody who writes to a
disk.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.manifest import (
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_MANIFEST_BYTES,
    NAME,
    File,
    Manifest,
    ManifestInvalid,
    is_name,
    parse_manifest,
)

SHA = "0" * 64
FILE = {"name": "model.safetensors", "bytes": 3, "sha256": SHA}
GOOD = {"source": "org/demo", "revision": "abc", "files": [FILE]}


def raw(**changed: Any) -> bytes:
    return json.dumps({**GOOD, **changed}).encode()


def of_file(**changed: Any) -> bytes:
    return raw(files=[{**FILE, **changed}])


def test_a_manifest_is_read_as_it_was_written() -> None:
    files = (File("b/config.json", 2, "1" * 64), File("a.safetensors", MAX_FILE_BYTES, SHA))
    made = Manifest("org/demo", "abc", files)
    assert set(parse_manifest(made.text()).files) == set(files)
    assert parse_manifest(made.text()).text() == made.text()
    assert made.size_bytes == MAX_FILE_BYTES + 2


def test_the_order_of_files_is_no_difference() -> None:
    one, two = File("a.json", 1, SHA), File("b.json", 2, SHA)
    assert Manifest("o/n", "r", (one, two)).digest() == Manifest("o/n", "r", (two, one)).digest()
    assert Manifest("o/n", "r", (one,)).digest() != Manifest("o/n", "q", (one,)).digest()


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"files": ' + b"9" * 5000 + b"}", "no JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "`files` is no list"),
        (raw(files=[]), "of 1 to"),
        (raw(files=[FILE] * (MAX_FILES + 1)), "of 1 to"),
        (raw(files=[5]), "no object"),
        (raw(files=[FILE, FILE]), "there twice"),
        (raw(files=[FILE, {**FILE, "name": "model.safetensors/x"}]), "a folder too"),
        (raw(source="../etc"), "`source`"),
        (raw(source=None), "`source`"),
        (raw(revision="a b"), "`revision`"),
        (of_file(bytes=-1), "`bytes`"),
        (of_file(bytes=MAX_FILE_BYTES + 1), "`bytes`"),
        (of_file(bytes=True), "`bytes`"),
        (of_file(bytes=1.0), "`bytes`"),
        (of_file(bytes="3"), "`bytes`"),
        (of_file(sha256=SHA.upper() + "A"), "`sha256`"),
        (of_file(sha256=None), "`sha256`"),
        (b" " * (MAX_MANIFEST_BYTES + 1), "larger than"),
    ],
)
def test_what_no_manifest_says_is_refused(text: bytes, cause: str) -> None:
    with pytest.raises(ManifestInvalid, match=cause):
        parse_manifest(text)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", ".hidden", "a\\b",
     NAME, "a\nb", "a\x00b", "é.json", "x" * 600, "a b", "~", "-rf", 5, None],
)  # fmt: skip
def test_a_name_that_leads_out_of_the_folder_is_refused(name: Any) -> None:
    with pytest.raises(ManifestInvalid, match="no name of a file"):
        parse_manifest(of_file(name=name))


@given(st.text(alphabet="ab./\\~\0\n- ", max_size=12))
def test_no_name_that_is_taken_leads_out_of_the_folder(name: str) -> None:
    if is_name(name):
        parts = name.split("/")
        assert all(parts)
        assert not {".", ".."} & set(parts)


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["source", "revision", "files", "name", "bytes", "sha256"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_nothing_but_a_refusal_comes_of_nonsense(text: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(text)
