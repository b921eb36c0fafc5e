"""ccTalk, seen from the bus master: pure codecs first, then the bus and the devices.

| module | what it turns into what |
|---|---|
| `frames` | messages into frames with either checksum and back; bytes into frames; echo |
| `addresses` | addresses and category strings into kinds of device |
| `headers` | command numbers; which may be repeated, which answer late |
| `events` | counters and buffered events into what is new, lost, or a reset |
| `coin_codec`, `bill_codec`, `hopper_codec` | each device's requests and answers |
| `money_ids`, `countries` | coin and bill id strings into values and currencies |
| `fields` | numbers, masks, priorities, dates that several devices share |
| `*_words` | codes in words |
| `explain`, `explain_*` | an exchange in words, byte by byte |

Then what drives the devices, with I/O:

| module | what it does |
|---|---|
| `bus` | owns the line: one question at a time, echo, tries |
| `unit`, `acceptor`, `hopper` | one device each |
| `changer` | acceptor and hoppers as the controller's `Changer` |
| `bill_validator` | the controller's `BillValidator` |
| `cursor` | what the journal keeps for them |
| `assembly` | puts them together |

Every codec raises one error, `frames.CcTalkError`.

Source: ccTalk Generic Specification, issue 4.7, parts 1 to 4; where a device's manual says more,
the manual is named.
"""
