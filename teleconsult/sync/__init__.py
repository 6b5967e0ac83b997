"""How records travel between a vehicle and the hub: outbox, inbox, and the vehicle's uplink. See docs/sync.md.

Knows nothing of pages. What an arriving consult step means is decided by `services.consults`.
"""
