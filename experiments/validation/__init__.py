"""Closed forms against the running engine: what ``looplab validate`` runs."""
