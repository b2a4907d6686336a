"""For programs that import from `fastai.callback.mixup`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
