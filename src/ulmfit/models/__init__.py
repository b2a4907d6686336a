"""Batches to activations: the encoder, the language model and the document classifier."""

DEFAULT_ARCH = "awd_lstm"  # of a new model of the commands and the estimators
