"""From a thumbnail on the disk to what this terminal can show."""
