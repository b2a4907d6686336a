"""Weights to answers: the model folder and the predictor."""
