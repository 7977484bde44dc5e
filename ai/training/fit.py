"""Fits a network to cases: seeded, resumable after every epoch, keeping the weights that validate best."""

import json
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from monai.losses.dice import DiceCELoss
from monai.utils.misc import set_determinism
from torch.optim.swa_utils import AveragedModel

from ai.errors import PlanInvalid
from ai.networks.architectures import build
from ai.networks.declared import NetworkCard
from ai.networks.opening import open_network, put_in
from ai.training.augment import augmentation
from ai.training.examples import Example
from ai.training.plan import Plan, Schedule
from ai.training.scores import confusion, dice
from ai.window import Window, predict_in_windows

Weights = Mapping[str, torch.Tensor]
Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]
CHECKPOINT = "checkpoint.pt"
NO_CHECKPOINT = (OSError, EOFError, RuntimeError, ValueError, LookupError, pickle.UnpicklingError)
"""What torch was seen to raise on a file that is cut, empty or another one."""


@dataclass
class Progress:
    """What a checkpoint knows of the past; `history` has the mean validation Dice of each label, epoch by epoch."""

    epoch: int = 0
    best: float = -1.0
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class Fitting:
    """A network on its way: weights, their moving average, optimiser and progress, in one checkpoint."""

    def __init__(
        self, plan: Plan, network: NetworkCard, labels: Sequence[str], out: Path, start: NetworkCard | None = None
    ) -> None:
        """Goes on from the checkpoint in `out`, if one is there. labels: names of the labels 1, 2, … start: whose
        weights it begins with, instead of random ones. Raises CardInvalid where they are not this network's."""
        self._how, self._seed, self._labels = plan.schedule, plan.seed, tuple(labels)
        self._file, self._log = out / CHECKPOINT, out / "progress.jsonl"
        torch.set_num_threads(plan.schedule.threads)
        set_determinism(plan.seed)
        self._network = build(network.architecture, network.parameters)
        if start is not None:
            put_in(self._network, open_network(start).state_dict(), start.weights.name)
        self._average = AveragedModel(self._network, multi_avg_fn=_moving(plan.schedule.average))
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), lr=plan.schedule.learning_rate, weight_decay=plan.schedule.weight_decay
        )
        self._loss = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
        self._window = _window(network)
        self._change = augmentation(plan.augmentation, plan.schedule.window or self._window.size)
        self.progress = Progress()
        self.best: Weights = {}
        if self._file.exists():
            self._resume()

    def run(
        self, training: Sequence[Example], validation: Sequence[Example], say: Callable[[int, str], None]
    ) -> Weights:
        """Fit until the last epoch; the weights (moving average) with the best mean Dice on `validation`.

        say: told after each epoch its number and what a person wants to know.
        """
        how = self._how
        while self.progress.epoch < how.epochs:
            loss = self._train(training)
            self.progress.epoch += 1
            line = f"epoch {self.progress.epoch}: loss {loss:.4f}"
            if self.progress.epoch % how.validate_every == 0 or self.progress.epoch == how.epochs:
                line += self._judge(validation, loss)
            self._save()
            say(self.progress.epoch, line)
        return self.best

    def _judge(self, validation: Sequence[Example], loss: float) -> str:
        """Validate, keep the weights if they are the best so far, and say in words what they reach."""
        each = self.validate(validation)
        now = dict(zip(self._labels, each.mean(0).tolist(), strict=True))
        self.progress.history.append({"epoch": self.progress.epoch, "loss": loss, **now})
        if each.mean() > self.progress.best:
            self.progress.best, self.progress.best_epoch = float(each.mean()), self.progress.epoch
            self.best = {key: value.clone() for key, value in self._average.module.state_dict().items()}
        return ", Dice " + ", ".join(f"{name} {value:.4f}" for name, value in now.items())

    def _train(self, examples: Sequence[Example]) -> float:
        """One epoch; every random choice in it depends on the seed and the epoch's number alone."""
        how, epoch = self._how, self.progress.epoch
        random = np.random.RandomState(self._seed + 1 + epoch)
        self._change.set_random_state(seed=int(random.randint(2**31)))
        order = random.permutation(len(examples))[: len(examples) // how.batch * how.batch].reshape(-1, how.batch)
        self._network.train()
        total = 0.0
        for step, chosen in enumerate(order):
            for group in self._optimiser.param_groups:
                group["lr"] = how.learning_rate * _pace(how, epoch + step / len(order), epoch * len(order) + step)
            batch = [self._change(dict(examples[at])) for at in chosen]
            image, label = (torch.stack([one[key].as_tensor() for one in batch]) for key in ("image", "label"))
            with self._precision():
                found = self._network(image)
            loss = self._loss(found.float(), label)
            if not torch.isfinite(loss):
                raise PlanInvalid(
                    f"[schedule]: in epoch {epoch + 1} the loss became {float(loss.detach())}: lower learning_rate, or "
                    f"let it rise over more steps; the weights of epoch {epoch} are in {self._file.name}"
                )
            self._optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), 12.0)
            self._optimiser.step()
            self._average.update_parameters(self._network)
            total += float(loss.detach())
        return total / len(order)

    @torch.inference_mode()
    def validate(self, examples: Sequence[Example]) -> npt.NDArray[np.float64]:
        """Dice, (cases, labels), of the averaged weights."""
        self._average.eval()
        scores = []
        for one in examples:
            with self._precision():
                found = predict_in_windows(self._average, one["image"], self._window).argmax(0)
            scores.append(dice(confusion(one["label"][0].numpy(), found.numpy(), len(self._labels))))
        return np.stack(scores)

    def _precision(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self._how.precision == "bfloat16")

    def _save(self) -> None:
        aside = self._file.with_suffix(".part")
        state = {
            "network": self._network.state_dict(),
            "average": self._average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "best": dict(self.best),
            "progress": json.dumps(vars(self.progress)),
        }
        with aside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._file)
        self._log.write_text("".join(json.dumps(line) + "\n" for line in self.progress.history))

    def _resume(self) -> None:
        try:
            state = torch.load(self._file, weights_only=True)
        except NO_CHECKPOINT as error:
            raise PlanInvalid(
                f"{self._file}: is no whole checkpoint; remove it, and the training begins anew"
            ) from error
        try:
            self._network.load_state_dict(state["network"])
            self._average.load_state_dict(state["average"])
            self._optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, ValueError) as error:
            raise PlanInvalid(
                f"{self._file}: is of another network than the card's; name another folder with --out, or remove it"
            ) from error
        self.best = state["best"]
        self.progress = Progress(**json.loads(state["progress"]))


def _window(network: NetworkCard) -> Window:
    assert network.window is not None  # noqa: S101  the training's check asked for one
    return Window(network.window.size, network.window.overlap, network.window.blend, network.window.batch)


def _pace(how: Schedule, epoch: float, step: int) -> float:
    """Share of the learning rate: it rises over the first steps, stays, and falls to zero over the last epochs."""
    falling = (how.epochs - epoch) / how.falling_epochs if how.falling_epochs else 1.0
    return min(1.0, (step + 1) / how.rising_steps, falling)


def _moving(decay: float) -> Callable[[Tensors, Tensors, torch.Tensor | int], None]:
    """The moving average, quicker while there is little to average."""

    @torch.no_grad()
    def update(averages: Tensors, weights: Tensors, seen: torch.Tensor | int) -> None:
        share = min(decay, (1 + int(seen)) / (10 + int(seen)))
        torch._foreach_lerp_(averages, weights, 1 - share)

    return update
