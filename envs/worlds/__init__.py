"""Tasks with dynamics in continuous time: traffic, bodies, motion."""
