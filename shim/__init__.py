"""The preload library, the launcher and their cffi bindings."""
