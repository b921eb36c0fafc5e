"""The flight recorder: what happened around a fault or a disputed vend, to look at and to replay.

``ring`` holds the newest frames, edges and inputs in memory; ``recorder`` watches the actor and
decides what is worth keeping; ``keeping`` writes it beside the journal, out of everybody's way;
``replay`` has a real brain decide it all again.
"""
