"""For programs that import from `fastai.callback.rnn`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
