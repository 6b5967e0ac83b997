"""HL7 v2 results: MLLP framing, ORU^R01 messages, codes and units. Pure; no I/O and no clock."""
