"""Datasets: loaders, packed crops, augmentation and the sampling of frames and clips."""
