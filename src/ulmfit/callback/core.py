"""For programs that import from `fastai.callback.core`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
