"""Recipes: the paper's tables and the searches, from TOML to checked, expanded specifications."""
