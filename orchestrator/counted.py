"""A number with its noun, as sentences for people have it. Pure; called by whatever counts aloud."""


def counted(count: int, noun: str, ending: str = "s") -> str:
    """`1 run`, `1,200 runs`. `ending`: what makes several of one."""
    return f"{count:,} {noun}{'' if count == 1 else ending}"
