"""Sinks: what is told of every trial while it runs. The result store does not depend on them."""
