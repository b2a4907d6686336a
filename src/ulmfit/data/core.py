"""For programs that import from `fastai.data.core`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
