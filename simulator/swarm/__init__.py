"""The swarm: a whole machine under a seed's bad luck, judged after every customer and restart.

``draw`` turns a seed into a life (plain data: a machine, its customers, what breaks, when the
power goes), ``play`` lives it in virtual time, ``judge`` holds it against the physical truth,
``shrink`` finds the shortest life that still fails, ``report`` shows it.
"""
