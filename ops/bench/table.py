"""A table as a value, for the terminal and for Markdown. Pure."""

from dataclasses import dataclass

from rich.table import Table as RichTable


@dataclass(frozen=True)
class Table:
    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.headers) for row in self.rows):
            raise ValueError(f"{self.title}: every row needs {len(self.headers)} cells")

    def markdown(self) -> str:
        numbers = ("---:",) * (len(self.headers) - 1)
        lines = (self.headers, ("---", *numbers), *self.rows)
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"## {self.title}\n\n{body}\n"

    def rich(self) -> RichTable:
        table = RichTable(title=self.title, title_justify="left")
        for number, header in enumerate(self.headers):
            table.add_column(header, justify="right" if number else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        return table
