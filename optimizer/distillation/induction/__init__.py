"""From mistakes to rules: what is shown to the strong model, and what is taken of what it writes."""
