"""Starting weights of our own: what the compact networks know of hands before a training."""
