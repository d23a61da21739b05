"""Apple's Photos, through other people's tools. Must never open anything in a .photoslibrary."""
