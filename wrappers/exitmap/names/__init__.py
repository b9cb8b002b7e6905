"""The names that exitmap's modules import, as its own modules use them. Each is loaded under its bare name
(`loading.py`), so that `import util` in a module and `from .util import ...` here are one and the same."""
