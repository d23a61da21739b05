"""Apple's Photos, through the tools of others. Never its library itself: dedupd opens nothing in a .photoslibrary."""
