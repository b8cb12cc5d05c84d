"""Tools, the choice among them, and the shape asked of the answer."""

from serving import bounds
from serving.protocol.check import Json, invalid
from serving.protocol.kind import Choice, Either, Flag, Listing, Record, Ruled, Tagged, Text
from serving.protocol.schema import Schema

_NAME = Text(
    most=bounds.FUNCTION_NAME_CHARS,
    least=1,
    pattern="[A-Za-z0-9_-]+",
    words="may hold letters, digits, '_' and '-' only",
)
_DESCRIPTION = Text(most=bounds.DESCRIPTION_CHARS)

FUNCTION = Record(
    {"name": _NAME, "description": _DESCRIPTION, "parameters": Schema(), "strict": Flag()},
    required=("name",),
)
TOOL = Record(
    {"type": Choice(("function",), refused=("custom",)), "function": FUNCTION},
    required=("function",),
    refused=("custom",),
    defaults={"type": "function"},
)


def _check_names(tools: list[Json], path: str) -> None:
    names: set[str] = set()
    for index, tool in enumerate(tools):
        name = tool["function"]["name"]
        if name in names:
            raise invalid(f"{path}[{index}].function.name", "is the name of an earlier tool, too")
        names.add(name)


TOOLS = Ruled(Listing(TOOL, most=bounds.TOOLS, least=1), _check_names)

NAMED_CHOICE = Record(
    {
        "type": Choice(("function",), refused=("custom", "allowed_tools")),
        "function": Record({"name": _NAME}, required=("name",)),
    },
    required=("type", "function"),
    refused=("custom", "allowed_tools"),
)
TOOL_CHOICE = Either(
    Choice(("none", "auto", "required")), NAMED_CHOICE, dict, "a string or an object"
)

JSON_SCHEMA = Record(
    {"name": _NAME, "description": _DESCRIPTION, "schema": Schema(), "strict": Flag()},
    required=("name", "schema"),
)
RESPONSE_FORMAT = Tagged(
    "type",
    {
        "text": Record({"type": Choice(("text",))}),
        "json_object": Record({"type": Choice(("json_object",))}),
        "json_schema": Record(
            {"type": Choice(("json_schema",)), "json_schema": JSON_SCHEMA},
            required=("json_schema",),
        ),
    },
)
