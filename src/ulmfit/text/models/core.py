"""For programs that import from `fastai.text.models.core`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
