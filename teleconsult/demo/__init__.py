"""An invented county to try the program with: a hub, a vehicle node, and everybody in them."""
