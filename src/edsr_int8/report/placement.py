"""Whether a strict int8 build ran in int8, as far as its target tells."""

from edsr_int8.report.results import BuildKey, Results


def ran(results: Results, key: BuildKey) -> str:
    """The status of a build that ran: "ok", and what ran in float although the recipe is strict int8."""
    placement = results.builds[key].timing.placement
    if not (results.recipes[key.precision].strict and placement.float_convolutions):
        return "ok"
    count = f"{placement.float_convolutions} of {placement.convolutions}"
    return f"ok, but not int8: {key.target} ran {count} convolutions in float"
