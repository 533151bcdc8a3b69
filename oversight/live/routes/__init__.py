"""The service's addresses, by who calls them."""
