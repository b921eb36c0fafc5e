"""MDB/ICP, seen from the bus master: pure codecs first, then the scheduler and the devices.

Source: MDB/ICP 4.2 (February 2011).
"""
