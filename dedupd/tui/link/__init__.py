"""The reviewer's connection to the daemon: requests, notices of changes, and a queue of actions. Must never
touch a widget."""
