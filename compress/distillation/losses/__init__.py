"""Distillation losses, one per file, found by the file's name.

Each has a pure function `loss(student_logits, teacher_logits, labels, **options)` that returns one value per image.
"""
