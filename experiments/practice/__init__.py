"""Practice and studies: people judge proposals whose answers are known."""
