"""Everything the rig can measure, in the order of the tables."""

from ops.bench.rivals import flotilla, litellm, ray_serve, vllm_router
from ops.bench.rivals.rival import Rival

DIRECT = Rival(name="direct", setup="no gateway: the load asks the upstream itself", launch=None)
OURS = flotilla.RIVAL

ALL: tuple[Rival, ...] = (
    DIRECT,
    OURS,
    vllm_router.RIVAL,
    ray_serve.HAPROXY,
    ray_serve.DEFAULT,
    litellm.RIVAL,
)
