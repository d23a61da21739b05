"""Eyes elsewhere: small pictures go to a service that its owner named, vectors come back and are checked."""
