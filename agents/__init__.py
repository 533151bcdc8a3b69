"""Stable-Baselines3 algorithms set up for speed, and what they learn about."""
