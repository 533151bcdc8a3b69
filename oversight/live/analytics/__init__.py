"""What the ledger tells of people's reviews: rates, times, agreement, load, and how it all goes."""
