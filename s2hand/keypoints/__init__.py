"""Detected 2D keypoints: their file format and its checks."""
