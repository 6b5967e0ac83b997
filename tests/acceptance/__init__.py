"""The whole main job in two real browsers against a hub and a vehicle that run somewhere: `make acceptance`.

It signs in, sees one person, asks, accepts, talks, measures, writes, signs, reads and prints, and leaves a report
with pictures. It knows addresses and logins only, and uses the pages as people do.
"""
