"""Export every network as ONNX, in each precision, and compare the float ones with Keras on held-out images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from compress.artifacts import Dataset, Exported, Models, Network, OnnxModel
from compress.context import Context

FLOAT = "fp32"


class Config(BaseModel):
    """How exact the export has to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tolerance: float = Field(
        1e-3,
        gt=0,
        le=1,
        description="Largest difference of a logit from Keras, relative to the largest logit.",
    )
    images: int = Field(256, ge=1, description="Validation images to compare on, at most.")


def run(
    config: Config,
    networks: tuple[Network, ...],
    quantized: tuple[Models, ...],
    data: Dataset,
    out: Path,
    context: Context,
) -> Exported:
    """Write `NAME-PRECISION.onnx` for each network: in fp32, then in the precisions that earlier stages made."""
    import dataclasses
    import shutil

    from compress.data.images import images_of
    from compress.errors import CompressError
    from compress.onnx_tools.convert import to_onnx

    def place(name: str) -> Path:
        file = out / f"{name}.onnx"
        if file.exists():
            raise CompressError(f"{name}: two stages make it; one's row in compress/pipeline.py should state a product")
        return file

    def copied(model: OnnxModel) -> OnnxModel:
        return dataclasses.replace(model, file=Path(shutil.copy(model.file, place(model.id))))

    held_out = images_of(data, "validation")[: config.images]
    exported: list[OnnxModel] = []
    different = list({(network.name, network.stage): network for network in networks}.values())  # some change nothing
    for i, network in enumerate(different):
        context.progress(i / len(different), f"converting {network.name}, and comparing it with Keras")
        variants = [model for models in quantized if models.network == network.name for model in models.models]
        given = next((model for model in variants if model.precision == FLOAT), None)
        fp32 = copied(given) if given else to_onnx(network, place(f"{network.name}-{FLOAT}"))
        difference = _difference(network, fp32, held_out)
        if not difference <= config.tolerance:
            raise CompressError(f"{fp32.id}: logits differ from Keras by {difference:.2g} of the largest logit")
        context.note(f"{context.stage}: {fp32.id} equals Keras to {difference:.1g} of the largest logit")
        exported += [fp32, *(copied(model) for model in variants if model.precision != FLOAT)]
    return Exported(tuple(exported))


def _difference(network: Network, model: OnnxModel, images: Any) -> float:
    """Return the largest difference of a logit from the Keras network's, as a fraction of the largest logit."""
    import numpy as np

    from compress import networks
    from compress.onnx_tools import scoring
    from compress.onnx_tools.sessions import open_session
    from compress.training.evaluation import forward_of, logits_of

    expected = logits_of(forward_of(networks.load(network)), images)
    logits = scoring.run(open_session(model.file), images)
    return float(np.abs(logits - expected).max() / np.abs(expected).max())
