"""MDB/ICP, seen from the bus master: pure codecs first, then the scheduler and the devices.

| module | what it turns into what |
|---|---|
| `blocks` | payloads into blocks with checksum and back; addresses, control bytes, times |
| `money` | scaled values into minor units and back, exactly; currency codes |
| `changer_commands`, `changer_codec` | coin changer: requests; answers |
| `bill_commands`, `bill_codec` | bill validator and recycler: requests; answers |
| `cashless_commands`, `cashless_requests` | cashless: commands as values; to bytes and back |
| `cashless_codec`, `cashless_parser`, `cashless_encoder` | cashless: messages; read; written |
| `fields`, `ftl_codec` | what they share: identification, masks, file transport messages |
| `*_words` | codes in words |
| `explain` | an exchange in words, byte by byte |

Every codec raises one error, `blocks.MdbBlockError`. The payload of a lone ACK is empty.

Source: MDB/ICP 4.2 (February 2011).
"""
