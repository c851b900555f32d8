"""A network in training: its optimizer, its running average, one step, one validation."""

import copy
import math

import torch
from torch import nn

from edsr_int8.data.images import Image
from edsr_int8.errors import InputError
from edsr_int8.training.branches import Branches
from edsr_int8.training.pixels import Pixels
from edsr_int8.training.precision import keep_float32
from edsr_int8.training.schedule import Training, learning_rate
from edsr_int8.training.start import start_from
from edsr_int8.training.state import State, TrainingPoint
from edsr_int8.training.validation import to_tensor, validate

CHECK_LOSS_EVERY = 50  # steps: to read the loss is to wait for the GPU


class Learner:
    """What changes from step to step; `state` is brought up to date by `score`."""

    def __init__(self, training: Training, *, device: str) -> None:
        torch.manual_seed(training.seed)
        network = Branches(training.description)
        if training.start:
            start_from(training, network)
        self.network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        for layer in {layer for branch in self.network.values() for layer in (branch.head, branch.tail)}:
            keep_float32(layer)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=training.learning_rate)
        self.training, self.device = training, device
        self.loss_sum = torch.zeros((), device=device)  # since the last point of the curve
        self.state = State(0, weights={}, average={}, optimizer={})

    def resume(self, state: State) -> None:
        self.network.load_state_dict(state.weights)
        self.average.load_state_dict(state.average)
        self.optimizer.load_state_dict(state.optimizer)
        self.state = state

    def learn(self, low: Image, high: Image) -> None:
        """One step of Adam on the L1 distance, in grey levels."""
        step = self.state.step
        self.optimizer.param_groups[0]["lr"] = learning_rate(step, self.training)
        with torch.autocast(
            torch.device(self.device).type, torch.bfloat16, enabled=self.training.precision == "bfloat16"
        ):
            output = self.network.of(high.shape[1] // low.shape[1])(to_tensor(low, self.device))
        loss = nn.functional.l1_loss(output, to_tensor(high, self.device))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self._follow(step)
        self.loss_sum += loss.detach()
        self.state.step = step + 1
        if self.state.step % CHECK_LOSS_EVERY == 0:
            self.mean_loss()

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Move the average towards the weights; faster at first, to leave the random start behind."""
        decay = min(self.training.ema, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - decay)

    def mean_loss(self) -> float:
        """Since the last point of the curve. InputError where it is no number any more."""
        loss = float(self.loss_sum) / (self.state.step - self._scored_at())
        if not loss < float("inf"):
            raise self._diverged(f"the loss become {loss}")
        return loss

    def _scored_at(self) -> int:
        """The step of the last point of the curve; 0: there is none yet."""
        return self.state.curve[-1].step if self.state.curve else 0

    def _diverged(self, what: str) -> InputError:
        kept = f"; until then the checkpoint of step {since} is kept" if (since := self._scored_at()) else ""
        return InputError(
            f"learning_rate: {self.training.learning_rate} let {what} by step {self.state.step}; "
            f"lower it or raise warmup, and the row begins anew{kept}"
        )

    def score(self, held: Pixels) -> None:
        """Validate the average, keep it where it is the best so far, add a point to the curve.

        InputError where the loss or the PSNR is no number any more; `state` stays as it was.
        """
        loss, psnr_db = self.mean_loss(), validate(self.average, held, self.device)
        if math.isnan(psnr_db):  # the last update, which came after its loss was taken
            raise self._diverged("the validation images become infinite or NaN")
        self.loss_sum.zero_()
        state = self.state
        state.weights, state.average = self.network.state_dict(), self.average.state_dict()
        state.optimizer = self.optimizer.state_dict()
        if psnr_db > state.best_psnr_db():
            state.best = {name: tensor.detach().cpu().clone() for name, tensor in state.average.items()}
        rate = learning_rate(state.step - 1, self.training)
        state.curve.append(TrainingPoint(state.step, loss, rate, psnr_db))
