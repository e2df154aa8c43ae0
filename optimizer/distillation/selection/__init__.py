"""From rules to one candidate: racing, leaving rules out, and what was tried. It ranks, and decides nothing."""
