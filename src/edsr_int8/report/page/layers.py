"""Where the int8 loss comes from: a bar for each layer's tensor and one for its weights."""

from collections.abc import Iterable
from typing import Any

from edsr_int8.quantization.analysis.losses import Loss, decibels


def layers(losses: Iterable[Loss]) -> dict[str, Any] | None:
    """Rows in the network's order, bars in per cent of the longest. None without any.

    A bar is the mean squared error when this alone is rounded; its number is that error in per cent of the
    one with everything rounded. Such errors do not add up exactly, so the numbers need not sum to 100.
    """
    found = list(losses)
    total = next((loss.alone_mse for loss in found if loss.kind == "all"), 0.0)
    single = [loss for loss in found if loss.kind != "all"]
    longest = max((loss.alone_mse for loss in single), default=0.0)
    if not total or not longest:
        return None
    rows: dict[str, dict[str, Any]] = {}
    for loss in single:
        rows.setdefault(loss.name, {})[loss.kind] = _bar(loss, longest, total)
    most = max(single, key=lambda loss: loss.alone_mse)
    return {"rows": rows, "total_db": decibels(total), "most": _bar(most, longest, total) | {"loss": most}}


def _bar(loss: Loss, longest: float, total: float) -> dict[str, Any]:
    return {
        "width": round(100 * loss.alone_mse / longest, 2),
        "percent": 100 * loss.alone_mse / total,
        "alone_db": loss.alone_db,
    }
