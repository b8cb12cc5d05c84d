"""The parts of the fit; `cluster.fit` says what they come to. Pure."""
