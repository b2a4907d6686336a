"""For programs that import from `fastai.callback.tracker`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
