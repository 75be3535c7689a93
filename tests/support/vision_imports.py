"""What a command imports before it uses a model of images; for `tests.support.commands.Starter`."""

from importlib import import_module

from folioscope.torch_device import import_torch

import_torch()
for name in ("transformers.models.clip.modeling_clip", "colpali_engine.models"):
    import_module(name)
