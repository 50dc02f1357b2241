"""Data sets that people bring: folders of images and .npz files."""
