"""Every command of the site was run: those that need no cluster here, and what they print is what
the page shows.
"""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from deployments.inventory_file import load_inventory
from deployments.load import load
from ops.cli import main
from tests.docs.page import ROOT, Block, Said, blocks, blocks_of, names_in, pages
from tests.ops.test_cli import _vllm_says_yes
from tests.ops.test_ledger_commands import home

__all__ = ["_vllm_says_yes", "home"]

PLACES = ("alone", "fleet")
#: What nobody would run, or what a file is made of.
SHOWN = ("text", "json", "yaml")
COMMAND = re.compile(r"^(\$ |flotilla |make |curl |ray |serve |export |sudo )", re.MULTILINE)
#: Words of a command that say what it does; the others are the page's own names.
TELLING = re.compile(r"(?:--)?[a-z][a-z-]+")
PROGRAMS = ("flotilla", "make", "ray", "serve", "curl")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """One for a page: what a clone has, no cluster, and a ledger behind a Controller."""
    made = tmp_path / "page"
    made.mkdir()
    (made / "deployments").symlink_to(ROOT / "deployments")
    (made / "inventories").symlink_to(ROOT / "deployments" / "fleets" / "inventories")
    monkeypatch.chdir(made)
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", "http://127.0.0.1:1")
    monkeypatch.setenv("HF_HUB_CACHE", str(home))
    return made


@pytest.mark.parametrize("page", pages())
def test_every_block_of_commands_says_which_test_runs_it(page: str) -> None:
    for block in blocks(page):
        assert problem(block) == "", f"{block}: {problem(block)}"


def problem(block: Block) -> str:
    """What is wrong with a block; nothing where a test stands for it."""
    if block.language in SHOWN or block.verb == "file":
        return "is a command without `console`" if COMMAND.search(block.text) else ""
    if block.language not in ("console", "python"):
        return f"`{block.language}` is none of console, python, {', '.join(SHOWN)}"
    if block.verb == "run":
        return "" if block.words[0] in PLACES else f"nothing runs `{block.mark}`"
    return unproven(block) if block.verb == "run by" else "no test runs it"


def unproven(block: Block) -> str:
    """What the test that is named lacks of the block's commands."""
    name, _, function = block.mark.partition("::")
    file = ROOT / name
    if not file.exists() or function not in names_in(file):
        return f"there is no {block.mark}"
    source = file.read_text()
    lacking = {word for said in block.commands() for word in telling(said.command)} - {
        word for word in TELLING.findall(source)
    }
    return f"{name} does not run {', '.join(sorted(lacking))}" if lacking else ""


def telling(command: str) -> list[str]:
    """The command of a program and its options."""
    program, *words = shlex.split(command)
    if program not in PROGRAMS or program in ("make", "curl"):
        return []
    first = [word for word in words if re.fullmatch(r"[a-z-]+", word)][:2]
    return [word for word in first if not word.startswith("-")] + [
        word for word in words if word.startswith("--")
    ]


@pytest.mark.parametrize("page", [page for page in pages() if "<!-- " in (ROOT / page).read_text()])
def test_what_needs_no_cluster_does_what_the_page_says(page: str, folder: Path) -> None:
    for block in blocks(page):
        if block.verb == "file":
            put(block, folder)
        elif block.runs("alone"):
            for said in block.commands():
                status, printed = run(said)
                assert status == block.status, f"{block}: {said.command}\n{printed}"
                assert said.is_answered_by(printed), f"{block}: {said.command}\n{printed}"


def put(block: Block, folder: Path) -> None:
    """Files are read as what they are, so that no example is out of date."""
    file = folder / block.words[0]
    file.write_text(block.text)
    if file.suffix == ".yaml" and "wrong" not in block.words:
        load(file) if "models:" in block.text else load_inventory(file)


def run(said: Said) -> tuple[int, str]:
    """Status, and all that was printed."""
    program, *words = shlex.split(said.command)
    if program == "cat":
        return 0, "".join(Path(word).read_text() for word in words)
    assert program == "flotilla", f"{program} is not run here"
    into = words[-1] if words[-2:-1] == [">"] else None
    arguments = words[:-2] if into else words
    done = CliRunner().invoke(main, arguments, catch_exceptions=False, env={"COLUMNS": "140"})
    if into:
        Path(into).write_text(done.stdout)
    return done.exit_code, done.stderr if into else done.output


PAGE = """\
<!-- run: alone, status 2 -->
```console
$ flotilla plan \\
    x.yaml
one ... two
$ cat x
```
```yaml
a: 1
```
"""


def test_a_page_is_cut_into_commands_and_answers() -> None:
    console, yaml = blocks_of(PAGE, "p.md")
    assert (console.line, console.language, console.status) == (2, "console", 2)
    assert list(console.commands()) == [
        Said("flotilla plan x.yaml", "one ... two"),
        Said("cat x", ""),
    ]
    assert (yaml.language, yaml.verb, yaml.text) == ("yaml", "", "a: 1\n")


@pytest.mark.parametrize(
    ("printed", "fits"),
    [("one or two \n", True), ("one two", False), ("one and two\nthree", False)],
)
def test_three_dots_stand_for_anything_and_nothing_else_does(printed: str, fits: bool) -> None:
    assert Said("x", "one ... two").is_answered_by(printed) is fits


@pytest.mark.parametrize(
    ("mark", "text", "why"),
    [
        ("", "$ flotilla plan x", "no test runs it"),
        ("run: somewhere", "$ flotilla plan x", "nothing runs `somewhere`"),
        ("run by: tests/docs/test_commands.py::gone", "$ flotilla plan x", "there is no"),
        ("run by: tests/docs/page.py::pages", "$ flotilla status --why", "does not run --why"),
    ],
)
def test_a_block_that_no_test_runs_is_a_failure(mark: str, text: str, why: str) -> None:
    above = f"<!-- {mark} -->\n" if mark else ""
    (block,) = blocks_of(f"{above}```console\n{text}\n```\n", "p.md")
    assert why in problem(block)
