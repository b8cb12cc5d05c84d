"""Modules of Flotilla as one script, for the `python3` of a node that may have no Flotilla."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Each module under its own name, in the order in which they import each other; the last is run.
LOADER = """\
import json, sys, types
sys.modules["cluster"] = types.ModuleType("cluster")
for name, text in json.loads({modules!r}):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
module.main(json.loads({request!r}))
"""


def bundle(names: Sequence[str], request: Any) -> bytes:
    """Modules of this package, the last of which has a `main` that takes the request."""
    here = Path(__file__).parent
    modules = [(f"cluster.{name}", (here / f"{name}.py").read_text("utf-8")) for name in names]
    return LOADER.format(modules=json.dumps(modules), request=json.dumps(request)).encode()
