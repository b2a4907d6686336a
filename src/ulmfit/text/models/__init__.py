"""Modules under the names that they have in `fastai.text.models`; each gives every name of `ulmfit.text.all`."""
