"""How this project sets up onnxruntime: the same for calibration and for the targets."""

import functools

import onnxruntime as ort

from edsr_int8.machine import cores, saturates

SAME_AS_REQUESTED = 1  # arena_extend_strategy; the default is the next power of two
FATAL = 4  # log severity: errors arrive as exceptions, so the log need not repeat them


def session_options(
    threads: int = 0, height: int | None = None, width: int | None = None
) -> ort.SessionOptions:
    """Options of a session whose results do not depend on `threads` (0: all cores of this process).

    `height` and `width`, in pixels, fix the shape of every image to come; without them any shape runs.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = FATAL
    # Memory: 3,250 bytes a pixel instead of 7,000 (EDSR with 64 features, x2, float) at the same speed.
    _share_arena()
    options.enable_mem_pattern = False  # shapes change from image to image
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    # Without it, x86 runs convolutions of int8 activations in float, and says nothing.
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    if (
        saturates()
    ):  # without it, wrong results here; where sums do not overflow it costs two thirds of the speed
        options.add_session_config_entry("session.x64quantprecision", "1")
    if height and width:
        options.add_free_dimension_override_by_name("height", height)
        options.add_free_dimension_override_by_name("width", width)
    return options


@functools.cache  # once: a process has one onnxruntime environment
def _share_arena() -> None:
    """One memory pool for all CPU sessions, which grows by what is asked for.

    With a pool of its own, each session would keep its highest use until the process ends.
    """
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    growth = ort.OrtArenaCfg({"arena_extend_strategy": SAME_AS_REQUESTED})
    ort.create_and_register_allocator(memory, growth)
