"""A DenseNet-121 as torchxrayvision publishes it: a whole module, pickled, of classes that no reader has."""

import io
import sys
import types
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional


class _DenseLayer(nn.Sequential):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.add_module("norm1", nn.BatchNorm2d(features))
        self.add_module("relu1", nn.ReLU(inplace=True))
        self.add_module("conv1", nn.Conv2d(features, 128, 1, bias=False))
        self.add_module("norm2", nn.BatchNorm2d(128))
        self.add_module("relu2", nn.ReLU(inplace=True))
        self.add_module("conv2", nn.Conv2d(128, 32, 3, padding=1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, super().forward(x)], 1)


class _DenseBlock(nn.Sequential):
    def __init__(self, layers: int, features: int) -> None:
        super().__init__()
        for number in range(layers):
            self.add_module(f"denselayer{number + 1}", _DenseLayer(features + number * 32))


class _Transition(nn.Sequential):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.add_module("norm", nn.BatchNorm2d(features))
        self.add_module("relu", nn.ReLU(inplace=True))
        self.add_module("conv", nn.Conv2d(features, features // 2, 1, bias=False))
        self.add_module("pool", nn.AvgPool2d(2, 2))


class DenseNet(nn.Module):
    """Names, order and arithmetic of torchxrayvision 1.5's class."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        first = [
            ("conv0", nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)),
            ("norm0", nn.BatchNorm2d(64)),
            ("relu0", nn.ReLU(inplace=True)),
            ("pool0", nn.MaxPool2d(3, stride=2, padding=1)),
        ]
        self.features = nn.Sequential(OrderedDict(first))
        count = 64
        for number, layers in enumerate((6, 12, 24, 16), 1):
            self.features.add_module(f"denseblock{number}", _DenseBlock(layers, count))
            count += layers * 32
            if number < 4:
                self.features.add_module(f"transition{number}", _Transition(count))
                count //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(count))
        self.classifier = nn.Linear(count, classes)
        self.register_buffer("op_threshs", torch.full((classes,), 0.3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = functional.relu(self.features(x))
        return self.classifier(functional.adaptive_avg_pool2d(seen, (1, 1)).flatten(1))


def densenet(classes: int) -> DenseNet:
    """Its weights and running statistics always the same."""
    torch.manual_seed(2)
    made = DenseNet(classes)
    for one in made.modules():
        if isinstance(one, nn.BatchNorm2d):
            one.running_mean.normal_(std=0.1)
            one.running_var.uniform_(0.5, 1.5)
    return made.eval()


@contextmanager
def _as_published() -> Iterator[None]:
    """The classes under the names that the files have, as long as one is written."""
    place = types.ModuleType("torchxrayvision.models")
    for one in (DenseNet, _DenseBlock, _DenseLayer, _Transition):
        one.__module__ = place.__name__
        setattr(place, one.__name__, one)
    sys.modules.update({"torchxrayvision": types.ModuleType("torchxrayvision"), place.__name__: place})
    try:
        yield
    finally:
        del sys.modules["torchxrayvision"], sys.modules[place.__name__]


def published(network: DenseNet, *, before_1_6: bool = True) -> bytes:
    """The file; before_1_6: in the form torch had when the published ones were written."""
    made = io.BytesIO()
    with _as_published(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sources that cannot be found
        torch.save(network, made, _use_new_zipfile_serialization=not before_1_6)
    return made.getvalue()
