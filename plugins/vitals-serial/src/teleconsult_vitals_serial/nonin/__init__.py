"""Nonin's serial data formats 2, 7, 8 and 13: bytes to values, without I/O.

Source of every layout: "Onyx II Model 9560 Bluetooth Fingertip Oximeter, OEM Specification and Technical
Information", Nonin Medical, document 6470-000. Bit 6 of the status byte is reserved there and is SNSD (sensor
disconnected) in the maker's specifications of wired sensors; it is read as SNSD.
"""
