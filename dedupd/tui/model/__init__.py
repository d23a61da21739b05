"""What the reviewer knows and shows, as values. No Textual, no I/O."""
