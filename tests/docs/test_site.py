"""The site is built without a warning, asks nobody for anything, and leaves nothing out."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cluster.strict import Strict
from deployments import inventory_file, load
from ops.cli import COMMANDS
from ops.docs import api_reference
from ops.docs.comment import meanings
from ops.docs.file_reference import FieldUndescribed, field_table
from ops.docs.repository import documents
from ops.docs.wording import bounds, kind
from serving.errors import Refusal
from serving.gateway.route import ROUTES
from tests.docs.page import ROOT

#: What a browser fetches by itself.
FETCHED = re.compile(r"<(?:script|img|link|iframe|source)[^>]*(?:src|href)=\"?(https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def read(site: Path, page: str) -> str:
    return (site / page).read_text()


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    assert [str(page) for page in pages if FETCHED.search(page.read_text())] == []


def test_every_document_of_the_repository_is_a_page(site: Path) -> None:
    missing = [path for path in documents() if path.endswith(".md") and not built(site, path)]
    assert missing == []


def built(site: Path, path: str) -> bool:
    name = path.removesuffix(".md").replace("README", "index")
    return (site / f"{name}.html").exists()


def test_every_command_is_on_the_page_of_commands(site: Path) -> None:
    page = read(site, "reference/cli.html")
    assert [each.name for each in COMMANDS if f"flotilla {each.name}" not in page] == []


def test_every_refusal_and_route_is_on_the_page_of_the_api(site: Path) -> None:
    page = read(site, "reference/api.html")
    assert [each for each in Refusal if each.value.code and each.value.code not in page] == []
    assert [path for path in ROUTES if path.decode() not in page] == []


@pytest.mark.parametrize(
    ("page", "schemas"),
    [
        ("reference/fleet-file.html", load.SCHEMAS),
        ("reference/inventory.html", inventory_file.SCHEMAS),
    ],
)
def test_every_key_of_a_file_is_on_its_page(
    site: Path, page: str, schemas: Mapping[str, type[Strict]]
) -> None:
    text = read(site, page)
    for schema in schemas.values():
        assert [key for key in schema.model_fields if f"<code>{key}</code>" not in text] == []
        assert meanings(schema).keys() >= set(schema.model_fields)


class Bare(Strict):
    """Nobody says what its field means."""

    size: int


def test_a_field_that_nobody_describes_is_not_published() -> None:
    with pytest.raises(FieldUndescribed, match=r"Bare\.size"):
        field_table(Bare)


def test_an_error_says_whether_openais_clients_repeat_it() -> None:
    rows = api_reference.error_table().splitlines()
    repeated = {row.split("`")[3]: row.endswith("| yes |") for row in rows[2:]}
    assert repeated["rate_limit_exceeded"]
    assert not repeated["insufficient_quota"]
    assert not repeated["invalid_api_key"]


@pytest.mark.parametrize(
    ("schema", "what", "limits"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 65535}, "whole number", "1 to 65,535"),
        ({"type": "string", "minLength": 0, "maxLength": 9}, "text", "at most 9 characters"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}], "default": None}, "number", ""),
        ({"enum": ["a", "b"]}, "`a` or `b`", ""),
        ({"type": "array", "items": {"$ref": "#/$defs/Node"}}, "list of [Node](#node)", ""),
        ({"type": "number", "exclusiveMinimum": 0}, "number", "above 0"),
        (
            {"anyOf": [{"anyOf": [{"type": "string"}, {"type": "array"}]}, {"type": "null"}]},
            "text or list",
            "",
        ),
    ],
)
def test_a_schema_is_told_in_words(schema: dict[str, object], what: str, limits: str) -> None:
    assert (kind(schema), bounds(schema)) == (what, limits)
