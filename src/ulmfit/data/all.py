"""For programs that import from `fastai.data.all`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
