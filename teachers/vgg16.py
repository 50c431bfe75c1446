"""VGG16 (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015).

The 13 convolutions, their order and their names are those of keras.applications; instead of its two dense layers of
4,096 units, global average pooling and one dense layer. Batch normalization (Ioffe and Szegedy, 2015) follows each
convolution, so that the network trains from random weights.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

EXAMPLE = ((32, 32, 1), 10)
WEIGHTS = 14_731_338  # of build(*EXAMPLE), batch normalization's running statistics included

SMALLEST = 32  # pixels
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # (convolutions, filters)


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    width: Annotated[float, Field(gt=0, le=4)] = 1.0,
    batch_norm: bool = True,
) -> Any:
    """Return VGG16 as one flat functional Keras graph from pixel values 0 to 255 to logits.

    `width` multiplies every layer's filters. Raises `ValueError` for images of less than 32 pixels a side: five
    poolings halve them.
    """
    if min(input_shape[:2]) < SMALLEST:
        raise ValueError(
            f"images of {input_shape[1]}x{input_shape[0]} are too small; image.size should be {SMALLEST} or more"
        )
    import tf_keras as keras

    layers = keras.layers
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    for block, (convolutions, filters) in enumerate(BLOCKS, start=1):
        for i in range(1, convolutions + 1):
            x = layers.Conv2D(
                max(1, round(filters * width)),
                3,
                padding="same",
                use_bias=not batch_norm,
                kernel_initializer="he_normal",
                name=f"block{block}_conv{i}",
            )(x)
            if batch_norm:
                x = layers.BatchNormalization(momentum=0.9, name=f"block{block}_norm{i}")(x)
            x = layers.ReLU(name=f"block{block}_relu{i}")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name="vgg16")
