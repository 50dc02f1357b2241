import numpy as np
import torch

from sweeper.training.device_data import on_device


def test_scaled_train_images_have_mean_zero_and_standard_deviation_one_a_channel():
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 4, 4), dtype=np.uint8)
    images[:, 1] //= 2
    part = (images, np.zeros(50, dtype=np.int64))
    shares = images / 255
    data = on_device(
        part,
        part,
        n_classes=2,
        mean=shares.mean((0, 2, 3)).tolist(),
        std=shares.std((0, 2, 3)).tolist(),
        device=torch.device("cpu"),
        layout=torch.contiguous_format,
    )
    scaled = data.scale(data.train.images)
    torch.testing.assert_close(scaled.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    assert data.train.images.dtype == torch.uint8
    assert data.input_shape == (3, 4, 4)
