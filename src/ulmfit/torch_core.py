"""For programs that import from `fastai.torch_core`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
