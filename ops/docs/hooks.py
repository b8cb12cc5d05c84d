"""MkDocs calls these while it builds the site: documents of the repository become pages, and a
comment `<!-- made: NAME -->` of a page becomes what is made under that name. Nothing that is made
is kept in a file, so nothing can be out of date.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from ops.docs import api_reference, file_reference
from ops.docs.repository import ROOT, documents, listing

_MADE = re.compile(r"^<!-- made: ([\w/]+) -->$", re.MULTILINE)
#: Folders of documents that a page may ask for a list of.
_LISTED = ("ops/decisions", "ops/runbooks")

TABLES: Mapping[str, Callable[[], str]] = {
    **{
        name: partial(file_reference.field_table, part)
        for name, part in file_reference.PARTS.items()
    },
    "accelerators": file_reference.accelerator_table,
    "routes": api_reference.route_table,
    "chat": api_reference.chat_table,
    "completion": api_reference.completion_table,
    "errors": api_reference.error_table,
    "deadlines": api_reference.deadline_table,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path in documents():
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    root = "../" * page.file.src_uri.count("/")
    return _MADE.sub(lambda found: _made(found[1], root), markdown)


def _made(name: str, root: str) -> str:
    if name in _LISTED:
        return listing(name, root)
    if name not in TABLES:
        raise PluginError(f"nothing is made under the name {name}: {', '.join(TABLES)}")
    return TABLES[name]()
