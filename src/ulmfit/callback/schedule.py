"""For programs that import from `fastai.callback.schedule`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
