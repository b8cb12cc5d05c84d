"""Routers side by side: the same slice of a real trace through each, in front of emulated engines.

The engines are a test double, behind one narrow seam: HTTP as vLLM speaks it. What they say of
prefix hits and time comes from `engine.py`, a model with stated rates; nothing here knows a GPU.
"""
