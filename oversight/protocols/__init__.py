"""What can the human do, and when? One file per protocol."""
