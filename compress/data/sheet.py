"""A picture of what the network will see: some images of each class, as they are and augmented."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from compress.artifacts import Dataset
from compress.data.augmentation import Augmentation, augment, draws
from compress.data.images import images_of
from compress.tensorflow import tf

COLUMNS = 6  # images of a class, and as many augmented ones
MAX_CLASSES = 20
MIN_SIDE, MAX_SIDE = 64, 256  # pixels: small images are shown enlarged, large ones reduced
MARGIN, LABEL, LINE = 4, 120, 20  # pixels
PAPER, INK = (245, 245, 245), (20, 20, 20)


def contact_sheet(data: Dataset, augmentation: Augmentation, seed: int) -> Image.Image:
    """Return one row per class: training images as prepared, then the same ones augmented as in training."""
    images, labels = images_of(data, "train"), data.labels("train")
    height, width, channels = data.image_shape
    longest = max(height, width)
    scale = max(1, -(-MIN_SIDE // longest)) if longest <= MAX_SIDE else MAX_SIDE / longest
    shown = (max(1, round(width * scale)), max(1, round(height * scale)))
    cell = (shown[0] + MARGIN, max(shown[1] + MARGIN, LINE))
    classes = data.classes[:MAX_CLASSES]
    sheet = Image.new("RGB", (LABEL + (2 * COLUMNS + 1) * cell[0], (len(classes) + 1) * cell[1]), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    pen.text((LABEL, MARGIN), "as the network sees them", INK, font)
    pen.text((LABEL + (COLUMNS + 1) * cell[0], MARGIN), "augmented", INK, font)
    for label, name in enumerate(classes):
        top = (label + 1) * cell[1]
        pen.text((MARGIN, top + cell[1] // 3), name if len(name) <= 14 else f"{name[:13]}\u2026", INK, font)
        chosen = np.flatnonzero(labels == label)[:COLUMNS]
        plain = images[chosen]
        changed = augment(tf.constant(plain), tf.constant(draws(seed, 1, chosen)), augmentation).numpy()
        for column, pixels in [*enumerate(plain), *enumerate(changed, start=COLUMNS + 1)]:
            image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
            image = image.resize(shown, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR)
            sheet.paste(image, (LABEL + column * cell[0], top))
    return sheet
