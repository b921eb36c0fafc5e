"""The hands of the machine: wire codecs without I/O, links, and the devices that use them."""
