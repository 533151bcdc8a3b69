"""Who answers when a human is asked."""
