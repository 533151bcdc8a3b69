"""Models of the people who oversee: how they judge, err, tire and teach."""
