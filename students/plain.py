"""A plain convolutional student: VGG11 (Simonyan and Zisserman, 2015, configuration A), narrow and with fewer blocks.

3x3 convolutions with batch normalization (Ioffe and Szegedy, 2015), max pooling, global average pooling: a CPU
runs it in some tens of microseconds.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

EXAMPLE = ((32, 32, 1), 10)
WEIGHTS = 71_858  # of build(*EXAMPLE), batch normalization's running statistics included

CONVOLUTIONS = (1, 1, 2, 2, 2)  # per block; the first two have the largest images, where a convolution costs most


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    width: Annotated[int, Field(ge=1, le=1024)] = 8,
    blocks: Annotated[int, Field(ge=1, le=len(CONVOLUTIONS))] = 4,
) -> Any:
    """Return the student as one flat functional Keras graph from pixel values 0 to 255 to logits.

    Each block halves the image. The first has `width` filters, each further one twice as many as the block before.
    Raises `ValueError` for images smaller than `2**blocks` pixels a side.
    """
    if min(input_shape[:2]) < 2**blocks:
        raise ValueError(
            f"{blocks} blocks need images of {2**blocks} pixels or more on each side; image.size should be that large"
        )
    import tf_keras as keras

    layers = keras.layers
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    for block in range(1, blocks + 1):
        for i in range(1, CONVOLUTIONS[block - 1] + 1):
            x = layers.Conv2D(
                width * 2 ** (block - 1),
                3,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
                name=f"block{block}_conv{i}",
            )(x)
            x = layers.BatchNormalization(momentum=0.9, name=f"block{block}_norm{i}")(x)
            x = layers.ReLU(name=f"block{block}_relu{i}")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name="plain")
