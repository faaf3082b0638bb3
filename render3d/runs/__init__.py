"""Folders of results: begin one, refuse one, resume one, and say how it was made."""
