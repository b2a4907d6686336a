"""Activations to weights: the loop, its schedules and callbacks, and the ULMFiT recipe."""
