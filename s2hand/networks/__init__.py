"""The learned parts of the model: image encoders and the geometry head."""
