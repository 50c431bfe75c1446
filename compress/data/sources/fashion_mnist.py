"""Fashion-MNIST: 70,000 grey pictures of clothes, 28x28 pixels (Xiao, Rasul and Vollgraf, arXiv:1708.07747, 2017)."""

from __future__ import annotations

from pathlib import Path

from compress.data.array_samples import refuse_groups
from compress.data.samples import Samples
from compress.data.sources import idx
from compress.downloads import KERAS, fetched, keras_folder

FILES = dict.fromkeys(
    (
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ),
    "",  # Keras publishes no digests
)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # the package dataset-fashion-mnist
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def claims(spec: str) -> bool:
    """Tell whether `spec` is the data set's name."""
    return spec == "fashion_mnist"


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 of the four files, which are downloaded if missing."""
    return idx.fingerprint(str(_folder()), memo)


def load(spec: str, group: str) -> Samples:
    """Return 60,000 images to train on and 10,000 to test on, in ten classes (the paper's table 2)."""
    refuse_groups(group)
    return idx.load_folder(_folder(), CLASSES)


def _folder() -> Path:
    folder = keras_folder() / "fashion-mnist"
    if idx.claims(str(DEBIAN)) and not idx.claims(str(folder)):
        return DEBIAN
    fetched(FILES, KERAS, folder)
    return folder
