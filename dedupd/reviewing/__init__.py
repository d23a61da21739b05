"""What the reviewers of the terminal and of the browser say and list alike, as values. Must never do I/O nor know a screen."""
