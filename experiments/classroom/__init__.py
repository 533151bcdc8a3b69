"""The classroom's tasks and agents, and the command that shows them."""
