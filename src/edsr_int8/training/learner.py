"""A module in training: its optimizer, its moving average, one step, one validation."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from edsr_int8.data.images import Image
from edsr_int8.errors import InputError
from edsr_int8.training.branches import Branches
from edsr_int8.training.device import Replayed, as_image, can_compile, moved
from edsr_int8.training.pixels import Pixels
from edsr_int8.training.precision import keep_float32
from edsr_int8.training.schedule import Training, learning_rate
from edsr_int8.training.start import start_from
from edsr_int8.training.state import State, TrainingPoint
from edsr_int8.training.validation import validate

CHECK_LOSS_EVERY = 50  # steps; reading the loss waits for the GPU


class Learner:
    """What changes from step to step. `score` brings `state` up to date."""

    def __init__(self, training: Training, *, device: str) -> None:
        with torch.random.fork_rng(devices=[]):  # leaves the caller's generator as it was
            torch.manual_seed(training.seed)
            module = Branches(training.description)
        if training.start:
            start_from(training, module)
        self.module = module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.module).requires_grad_(False)
        for layer in {layer for branch in self.module.values() for layer in (branch.head, branch.tail)}:
            keep_float32(layer)
        self.parameters, self.averages = list(self.module.parameters()), list(self.average.parameters())
        on_gpu = device != "cpu"
        self.optimizer = torch.optim.Adam(self.parameters, lr=training.learning_rate, fused=on_gpu)
        self.backward = Replayed(self._backward, self.parameters) if on_gpu else self._backward
        if on_gpu and can_compile():
            for branch in self.module.values():
                branch.compile(dynamic=False)
        self.training, self.device = training, device
        self.loss_sum = torch.zeros((), device=device)  # since the last point of the curve
        self.state = State(0, weights={}, average={}, optimizer={})

    def resume(self, state: State) -> None:
        self.module.load_state_dict(state.weights)
        self.average.load_state_dict(state.average)
        self.optimizer.load_state_dict(state.optimizer)
        self.state = state

    def learn(self, low: Image, high: Image) -> None:
        """One step of Adam on the L1 distance, in grey levels."""
        step = self.state.step
        self.optimizer.param_groups[0]["lr"] = learning_rate(step, self.training)
        loss = self.backward(moved(low, self.device), moved(high, self.device))
        self.optimizer.step()
        self._update_average(step)
        self.loss_sum += loss
        self.state.step = step + 1
        if self.state.step % CHECK_LOSS_EVERY == 0:
            self.mean_loss()

    def _backward(self, low: Tensor, high: Tensor) -> Tensor:
        """The loss on uint8 NHWC crops; sets the gradients."""
        with torch.autocast(low.device.type, torch.bfloat16, enabled=self.training.precision == "bfloat16"):
            output = self.module.of(high.shape[1] // low.shape[1])(as_image(low))
        loss = nn.functional.l1_loss(output, as_image(high))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        return loss.detach()

    def _update_average(self, step: int) -> None:
        """Move the average towards the weights: faster at first, to forget the random start soon."""
        decay = min(self.training.ema, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(self.averages, self.parameters, step)

    def mean_loss(self) -> float:
        """The mean since the last point of the curve. InputError: it is infinite or NaN."""
        loss = float(self.loss_sum) / (self.state.step - self._scored_at())
        if not loss < float("inf"):
            raise self._diverged(f"the loss become {loss}")
        return loss

    def _scored_at(self) -> int:
        """The step of the last point of the curve; 0 before the first."""
        return self.state.curve[-1].step if self.state.curve else 0

    def _diverged(self, what: str) -> InputError:
        kept = f"; until then the checkpoint of step {since} is kept" if (since := self._scored_at()) else ""
        return InputError(
            f"learning_rate: {self.training.learning_rate} let {what} by step {self.state.step}; "
            f"lower it or raise warmup, and the row starts again{kept}"
        )

    def score(self, held: Pixels) -> None:
        """Validate the average, keep it if it is the best so far, add a point to the curve.

        InputError: the loss or the PSNR is infinite or NaN; `state` stays as it was.
        """
        loss, psnr_db = self.mean_loss(), validate(self.average, held, self.device)
        if math.isnan(psnr_db):  # after the last update, which the loss does not show
            raise self._diverged("the validation images become infinite or NaN")
        self.loss_sum.zero_()
        state = self.state
        state.weights, state.average = self.module.state_dict(), self.average.state_dict()
        state.optimizer = self.optimizer.state_dict()
        if psnr_db > state.best_psnr_db():
            state.best = {name: tensor.detach().cpu().clone() for name, tensor in state.average.items()}
        rate = learning_rate(state.step - 1, self.training)
        state.curve.append(TrainingPoint(state.step, loss, rate, psnr_db))
