"""For programs that import from `fastai.callback.all`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
