"""Makes the project's own starting weights (:mod:`s2hand.starting_weights`)."""
