"""Declared tools: one TOML file, one audit. Data only; `wrappers/` reads them."""
