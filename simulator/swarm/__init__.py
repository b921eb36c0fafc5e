"""The swarm: a whole machine under a seed's bad luck, judged after every customer and restart.

``draw`` turns a seed into a life (plain data: a machine, its customers, what breaks, when the
power goes), ``play`` lives it in virtual time, ``judge`` holds it against the physical truth,
``shrink`` finds the shortest life that still fails, ``report`` shows it.

Where something new goes:

* a device or a policy: a row in ``fittings.FITTINGS`` (drawn into ``plan.Build``);
* a way to pay: a row in ``people.PEOPLE`` (who comes), and in ``customers.ACTS`` if they do
  something that nobody did before;
* a fault: a row in ``troubles.KINDS`` with what it may excuse; ``hands.HANDS`` if it is no
  switch of a simulated device;
* a row of the failure table: its marks in ``causes.CAUSES``, its phases in ``coverage.STEPS``;
* money that nothing here counts yet: ``judge``; a flag's words: ``flags.FLAGS``.
"""
