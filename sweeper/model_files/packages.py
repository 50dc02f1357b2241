"""The packages for ONNX, which sweeper needs for nothing else."""

from importlib.util import find_spec

from sweeper.errors import SweeperError, joined

PACKAGES = ("onnx", "onnxruntime", "onnxscript")


def check_packages() -> None:
    """Raises SweeperError, naming the remedy, if one of them is not installed."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise SweeperError(
            f"ONNX files need packages that are not installed ({joined(missing)}): "
            f"`pip install 'cnn-sweeper[onnx]'`, or `pip install {' '.join(missing)}`"
        )
