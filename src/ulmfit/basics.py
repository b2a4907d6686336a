"""For programs that import from `fastai.basics`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
