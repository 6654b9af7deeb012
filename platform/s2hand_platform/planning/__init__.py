"""From recipes to the trials that are missing, each with its reason and cost."""
