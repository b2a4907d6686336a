"""Batches to activations: the encoder, the language model and the document classifier."""
