"""From a recipe's name to results: plan, run what is missing, measure."""
