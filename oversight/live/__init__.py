"""Live: people in the overseer's seat, through the review service, and in a class."""
