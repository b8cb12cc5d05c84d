"""Who goes next where a model is saturated."""
