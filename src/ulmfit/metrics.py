"""For programs that import from `fastai.metrics`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
