"""The same examples on every machine, and no clock of hypothesis' own: a loaded machine is no failure."""

from hypothesis import settings

settings.register_profile("exitpin", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("exitpin")
