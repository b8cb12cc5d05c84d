"""What the applications of a config hold of each node. Pure."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from cluster.label import ADDRESS_LABEL

#: Serve's key for what each bundle asks of its node; a place of a plan is written there.
SELECTORS = "placement_group_bundle_label_selector"
#: Accelerators by the address of their node.
Capacity = Mapping[str, float]


def held(application: Mapping[str, Any] | None) -> Counter[str]:
    """Accelerators by address; nothing where Ray was left to choose."""
    found: Counter[str] = Counter()
    for deployment in (application or {}).get("deployments") or ():
        bundles = deployment.get("placement_group_bundles") or ()
        selectors = deployment.get(SELECTORS) or ()
        for bundle, selector in zip(bundles, selectors, strict=False):
            if ADDRESS_LABEL in selector:
                found[selector[ADDRESS_LABEL]] += int(sum(bundle.values()))
    return found


def fits(wanted: Counter[str], beside: Counter[str], capacity: Capacity) -> bool:
    """Whether there is room for it beside the others, on the nodes whose capacity is known."""
    return all(
        beside[address] + count <= capacity[address]
        for address, count in wanted.items()
        if address in capacity
    )
