"""Tasks of a person's desk: a queue, decisions, and dangers that only a person can see."""
