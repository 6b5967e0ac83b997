"""Hostile input at the media port, by the hundred thousand. `make torture` runs it long, a unit test a bounded part."""
