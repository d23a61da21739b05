"""Every message between the daemon and its clients: requests, results, views, notices, failure; codec turns
them into lines."""
