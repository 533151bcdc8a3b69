"""Environments that others wrote, with their harm and risk."""
