"""Tasks with risky actions, their exact risk, and what adapts tasks that others wrote."""
