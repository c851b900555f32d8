"""What `edsr-int8 score` prints: the protocols in one table, and why they differ."""

from edsr_int8.errors import one_line
from edsr_int8.metrics.score_folders import FolderScores
from edsr_int8.report.markdown import aligned


def as_text(scores: FolderScores) -> str:
    """The table, what each choice changes, and notes on single files."""
    heading = ["protocol", "compares", "border", "psnr_db", "ssim"]
    rows = [
        [name, score.channels, str(score.border), f"{score.psnr_db:.4f}", f"{score.ssim:.6f}"]
        for name, score in scores.protocols.items()
    ]
    return "\n".join([
        *aligned([heading, *rows], [False, False, True, True, True]),
        f"images: {scores.images}; PSNR and SSIM are means over them; card is scored without its resizing",
        "",
        "Why figures of the same images differ, in dB of PSNR:",
        *(f"- {line}" for line in differences(scores)),
        *(f"note: {one_line(note)}" for note in scores.notes),
    ])  # fmt: skip


def differences(scores: FolderScores) -> list[str]:
    """One line for each choice that others make differently."""
    rgb, luma = scores.protocols["basicsr"], scores.protocols["benchmark_y"]
    borders = {s.border: s.psnr_db for s in scores.protocols.values() if s.channels == "RGB"}
    listed = ", ".join(f"{border} pixels {borders[border]:.4f}" for border in sorted(borders))
    lines = [
        f"border left out, RGB: {listed}",
        f"Y in place of RGB, {rgb.border} pixels left out: {luma.psnr_db - rgb.psnr_db:+.4f}",
        f"Y rounded to whole grey levels, as MATLAB does: {scores.rounded_luma_psnr_db - luma.psnr_db:+.4f}",
        "one mean squared error for all images, not a mean of PSNRs: "
        f"{scores.pooled_psnr_db - rgb.psnr_db:+.4f}",
    ]
    if scores.jpeg_psnr_db is not None:
        lines.append(
            "outputs are JPEG: the references, compressed like them, score no more than "
            f"{scores.jpeg_psnr_db:.4f}; write PNG"
        )
    return lines
