"""Teaching a student from the logits of a larger model."""
