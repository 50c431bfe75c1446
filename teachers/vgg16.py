"""VGG16 (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015).

The 13 convolutions, their order and their names are those of keras.applications. The head is set by options: by default
global average pooling and one dense layer instead of three. Batch normalization (Ioffe and Szegedy, 2015) follows each
convolution, so that the network trains from random weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

EXAMPLE = ((32, 32, 1), 10)
WEIGHTS = 14_731_338  # of build(*EXAMPLE), batch normalization's running statistics included

SMALLEST = 32  # pixels
FILTERS = (64, 128, 256, 512, 512)  # of each block's convolutions
BLOCKS = tuple(f"block{i}" for i in range(1, len(FILTERS) + 1))  # the prefixes of their layers' names, in order
CONVOLUTIONS = (2, 2, 3, 3, 3)  # configuration D
IMAGENET = {  # Keras's file: url, md5
    "url": "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/",
    "file": "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "md5": "6d6bbae143d832006294945121d1f1fc",
}
MEANS = (123.68, 116.779, 103.939)  # of ImageNet's red, green and blue, as Caffe's VGG subtracts them

Width = Annotated[float, Field(gt=0, le=4)]
Units = Sequence[Annotated[int, Field(ge=1, le=65_536)]]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Scaling = Literal["unit", "caffe"]
Pooling = Literal["average", "flatten"]


def vgg(
    name: str,
    convolutions: Sequence[int],
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    width: Width = 1.0,
    batch_norm: bool = True,
    scaling: Scaling = "unit",
    pooling: Pooling = "average",
    dense: Units = (),
    dropout: Fraction = 0.0,
    head_norm: bool = False,
) -> Any:
    """Return a network of the VGG family: one flat functional Keras graph from pixel values 0 to 255 to logits.

    `convolutions` counts those of each of the five blocks; `width` multiplies every block's filters. `scaling` unit
    maps pixels to 0 to 1; caffe subtracts ImageNet's means, as the published weights expect, and repeats grey images
    in three channels. In the head, `pooling` is average or flatten; each number in `dense` adds a layer of that many
    units with ReLU, with batch normalization before the ReLU if `head_norm` is set, and with dropout after it
    (Srivastava et al., 2014) of the fraction `dropout`; without dense layers, dropout is applied before the logits.

    Raises `ValueError` for images of less than 32 pixels a side: five poolings halve them.
    """
    if min(input_shape[:2]) < SMALLEST:
        raise ValueError(
            f"images with a side of {min(input_shape[:2])} pixels are too small; "
            f"image.size should be {SMALLEST} or more on each side"
        )
    import tf_keras as keras

    layers = keras.layers
    image = keras.Input(input_shape, name="image")
    x = image
    if scaling == "unit":
        x = layers.Rescaling(1 / 255, name="scale")(x)
    else:
        if input_shape[2] == 1:
            x = layers.Concatenate(name="colour")([x, x, x])
        x = layers.Rescaling(1.0, [-mean for mean in MEANS], name="scale")(x)
    for block, filters, count in zip(BLOCKS, FILTERS, convolutions, strict=True):
        for i in range(1, count + 1):
            x = layers.Conv2D(
                max(1, round(filters * width)),
                3,
                padding="same",
                use_bias=not batch_norm,
                kernel_initializer="he_normal",
                name=f"{block}_conv{i}",
            )(x)
            if batch_norm:
                x = layers.BatchNormalization(momentum=0.9, name=f"{block}_norm{i}")(x)
            x = layers.ReLU(name=f"{block}_relu{i}")(x)
        x = layers.MaxPooling2D(name=f"{block}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x) if pooling == "average" else layers.Flatten(name="flatten")(x)
    for i, units in enumerate(dense, start=1):
        x = layers.Dense(units, use_bias=not head_norm, kernel_initializer="he_normal", name=f"dense{i}")(x)
        if head_norm:
            x = layers.BatchNormalization(momentum=0.9, name=f"dense{i}_norm")(x)
        x = layers.ReLU(name=f"dense{i}_relu")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dense{i}_dropout")(x)
    if dropout and not dense:
        x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name=name)


build = partial(vgg, "vgg16", CONVOLUTIONS)
