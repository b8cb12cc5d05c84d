"""What the dashboard shows, as values: facts in, views out. Pure; knows no HTML."""
