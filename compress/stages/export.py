"""Export every model as ONNX, each float one checked against Keras on held-out images."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from compress.artifacts import Dataset, Models, Network, OnnxModel
from compress.context import Context


class Config(BaseModel):
    """How exact the export must be."""

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
    teacher: Network,
    prune: Network,
    quantize: OnnxModel,
    distill: Network,
    quantize_student: OnnxModel,
    data: Dataset,
    out: Path,
    context: Context,
) -> Models:
    """Write `ID.onnx` for the teacher, the pruned teacher and the student in fp32, and for the last two in int8."""
    import dataclasses
    import shutil

    import numpy as np

    from compress import networks
    from compress.errors import CompressError
    from compress.onnx_tools import sessions
    from compress.onnx_tools.convert import to_onnx
    from compress.training.fit import logits_of

    held_out = data.images("validation")[: config.images]

    def exported(network: Network) -> OnnxModel:
        model = to_onnx(network, out / f"{network.name}-fp32.onnx")
        expected = logits_of(networks.load(network), held_out)
        difference = np.abs(sessions.run(sessions.open_session(model.file), held_out) - expected).max()
        relative = difference / np.abs(expected).max()
        if not relative <= config.tolerance:
            raise CompressError(f"{model.id}: logits differ from Keras by {relative:.2g} of the largest logit")
        context.note(f"{context.stage}: {model.id} equals Keras to {relative:.1g} of the largest logit")
        return model

    def copied(model: OnnxModel) -> OnnxModel:
        return dataclasses.replace(model, file=Path(shutil.copy(model.file, out / f"{model.id}.onnx")))

    return Models((exported(teacher), exported(prune), copied(quantize), exported(distill), copied(quantize_student)))
