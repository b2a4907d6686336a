"""For programs that import from `fastai.callback.training`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
