"""Published gridworlds, with the layouts, rewards and order of updates of their originals."""
