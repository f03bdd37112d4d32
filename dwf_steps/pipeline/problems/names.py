"""Names that are not defined."""

from dwf_steps.config.section import did_you_mean


def unknown(name: str, defined: list[str]) -> str:
    return f"{name!r} is not defined; {did_you_mean(name, defined)}Defined: {', '.join(defined)}"
