"""Gossamer beside other libraries. Each module here imports the library that it is for, so nothing here is imported
with `gossamer`: `gossamer.integrations.fastapi`, `gossamer.integrations.starlette`, and the pytest plugin.
"""
