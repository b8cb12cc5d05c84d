"""Where the tally looks into vLLM: the table of requests that its frontend knows. A request enters
it when it begins and leaves it when it has finished or was aborted, whatever the reason; there is
no other way out. Checked with the proof that the engine makes tokens: if vLLM ever changes this, no
replica starts.
"""

from typing import Any

from serving.replica.tally import Made, Tally


class WatchedRequests(dict[str, Any]):
    """vLLM's own table, which tells the tally."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def __setitem__(self, engine_id: str, state: Any) -> None:
        self._tally.began(engine_id)
        super().__setitem__(engine_id, state)

    def pop(self, engine_id: str, *default: Any) -> Any:
        state = super().pop(engine_id, *default)
        if state is not None:
            # Of several answers to one prompt each has a state; the prompt was read once.
            reads_prompt = not state.request_index
            self._tally.ended(
                engine_id,
                state.external_req_id or engine_id,
                Made(
                    prompt_tokens=state.prompt_len if reads_prompt else 0,
                    cached_tokens=max(state.num_cached_tokens or 0, 0) if reads_prompt else 0,
                    completion_tokens=_made_tokens(state),
                ),
            )
        return state


def _made_tokens(state: Any) -> int:
    """None were made for a request that has no text to come."""
    return 0 if state.detokenizer is None else int(state.detokenizer.num_output_tokens())
