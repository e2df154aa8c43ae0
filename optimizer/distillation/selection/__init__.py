"""Selection: a race of candidates and an ablation of the winner. It ranks, and decides nothing."""
