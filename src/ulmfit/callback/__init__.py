"""Modules under the names that they have in `fastai.callback`; each gives every name of `ulmfit.text.all`."""
