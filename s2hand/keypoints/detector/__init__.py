"""A hand detector: MediaPipe's two models, run by an adapter of ours on ``ai-edge-litert``."""
