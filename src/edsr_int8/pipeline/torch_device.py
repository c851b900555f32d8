"""The device that stages compute on with torch: a GPU where there is one, unless the user says otherwise."""

import os

from edsr_int8.errors import InputError

VARIABLE = "EDSR_INT8_DEVICE"  # cpu | cuda
CPU, CUDA = "cpu", "cuda"


def torch_device() -> str:
    """`cpu` or `cuda`, the latter set up so that results repeat.

    InputError: VARIABLE holds neither, or asks for a GPU that torch does not find.
    """
    import torch  # a second, which other stages do not wait for

    asked = os.environ.get(VARIABLE, "")
    if asked not in ("", CPU, CUDA):
        raise InputError(f"{VARIABLE}: is {asked!r}; allowed are {CPU} and {CUDA}, or no such variable")
    if asked == CPU:
        return CPU
    if torch.cuda.is_available():
        repeat_on_cuda()
        return CUDA
    if asked == CUDA:
        raise InputError(
            f"{VARIABLE}: asks for {CUDA}, but torch {torch.__version__} finds no GPU; install a build of "
            f"torch for CUDA, or set {VARIABLE}={CPU}"
        )
    return CPU


def repeat_on_cuda() -> None:
    """Equal inputs give equal bytes on one kind of GPU: deterministic kernels, and float32 without TF32."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which torch demands of deterministic code
    torch.use_deterministic_algorithms(True)
    # No code here reads uninitialized memory; filling it takes time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False  # which would choose kernels by their time
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
