"""Where a made inventory goes: a file that was not there before, or stdout."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from cluster.inventory import Inventory
from deployments.inventory_text import inventory_text
from ops.errors import FileNotWritten


@dataclass(frozen=True, slots=True)
class Output:
    """What the operator asked for."""

    path: Path | None
    force: bool
    as_json: bool

    def refuse_to_overwrite(self) -> None:
        """Before anybody is asked anything. Raises FileNotWritten."""
        if self.path is not None and self.path.exists() and not self.force:
            raise FileNotWritten(self.path, "is there already: --force overwrites it")

    def write(self, inventory: Inventory, comments: Sequence[str]) -> None:
        """Raises FileNotWritten."""
        text = inventory_text(inventory, comments)
        if self.path is not None:
            self._save(self.path, text)
        if self.as_json:
            said = inventory.model_dump(mode="json", exclude_unset=True)
            click.echo(json.dumps({"inventory": said, "notes": list(comments[1:])}, indent=2))
        elif self.path is None:
            click.echo(text, nl=False)

    def _save(self, path: Path, text: str) -> None:
        """What is there meanwhile is not overwritten either."""
        try:
            with path.open("w" if self.force else "x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise FileNotWritten(path, (error.strerror or "cannot be written").lower()) from error
        click.echo(f"wrote {path}", err=True)
