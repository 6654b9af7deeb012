"""The hand model: its data, its layer, its joints and their angles."""
