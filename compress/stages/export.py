"""Export every model as ONNX, each float one checked against Keras on held-out images."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from compress.artifacts import Dataset, Models, Network, OnnxModel, Quantized
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
    quantize: Quantized,
    distill: Network,
    quantize_student: Quantized,
    data: Dataset,
    out: Path,
    context: Context,
) -> Models:
    """Write `ID.onnx` for the teacher in fp32 and for the pruned teacher and the student in fp32 and int8."""
    import dataclasses
    import shutil

    import numpy as np

    from compress import networks
    from compress.data.images import images_of
    from compress.errors import CompressError
    from compress.onnx_tools import scoring
    from compress.onnx_tools.convert import to_onnx
    from compress.onnx_tools.sessions import open_session
    from compress.training.evaluation import forward_of, logits_of

    def copied(model: OnnxModel) -> OnnxModel:
        return dataclasses.replace(model, file=Path(shutil.copy(model.file, out / f"{model.id}.onnx")))

    context.progress(0.0, "converting the teacher")
    teacher_fp32 = to_onnx(teacher, out / "teacher-fp32.onnx")
    pruned_fp32, pruned_int8 = copied(quantize.fp32), copied(quantize.int8)
    student_fp32, student_int8 = copied(quantize_student.fp32), copied(quantize_student.int8)

    held_out = images_of(data, "validation")[: config.images]
    pairs = ((teacher, teacher_fp32), (prune, pruned_fp32), (distill, student_fp32))
    for i, (network, model) in enumerate(pairs):
        context.progress(0.7 + 0.1 * i, f"comparing {model.id} with Keras")
        expected = logits_of(forward_of(networks.load(network)), held_out)
        logits = scoring.run(open_session(model.file), held_out)
        difference = np.abs(logits - expected).max() / np.abs(expected).max()
        if not difference <= config.tolerance:
            raise CompressError(f"{model.id}: logits differ from Keras by {difference:.2g} of the largest logit")
        context.note(f"{context.stage}: {model.id} equals Keras to {difference:.1g} of the largest logit")
    return Models((teacher_fp32, pruned_fp32, pruned_int8, student_fp32, student_int8))
