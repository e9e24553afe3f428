"""Array functions to the hierarchical model, its priors, its draws, and what follows from them."""
