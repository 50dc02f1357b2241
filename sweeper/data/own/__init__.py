"""The user's own data sets: folders of images and .npz files."""
