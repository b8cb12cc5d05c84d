"""Which models a key may ask for. What it may not does not exist for it: the same words, the same
status. A fallback is the fleet's choice, not the caller's, and is not looked at here.
"""

from serving.errors import ApiError, Refusal, quote
from serving.gateway.config import Catalogue, Model, listing_of
from serving.snapshot import KeyRecord


def model_for(catalogue: Catalogue, name: str, key: KeyRecord | None) -> Model:
    """The model by its name or an alias. Raises ApiError."""
    model = catalogue.by_name.get(name)
    if model is None or not _may_use(key, model.name):
        message = f"The model '{quote(name)}' does not exist."
        raise ApiError(Refusal.MODEL_NOT_FOUND, message, param="model")
    if model.unavailable is not None:
        raise ApiError(Refusal.MODEL_NOT_FOUND, model.unavailable, param="model")
    return model


def listing_for(catalogue: Catalogue, key: KeyRecord | None) -> bytes:
    """The body of `GET /v1/models`."""
    if key is None or key.models is None:
        return catalogue.listing
    return listing_of(card for name, card in catalogue.cards.items() if name in key.models)


def _may_use(key: KeyRecord | None, model: str) -> bool:
    return key is None or key.models is None or model in key.models
