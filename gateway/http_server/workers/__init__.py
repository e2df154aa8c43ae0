"""One gateway in several processes on one port: who starts them, what one of them is, and how their counts add up."""
