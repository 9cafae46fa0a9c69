# SPDX-License-Identifier: Apache-2.0
"""The cases, one module a chapter; each has a `chapter`."""

from . import chunks, connection, fields, forwarding, framing, lines, responses, targets, upgrades, waits

CHAPTERS = (lines, targets, fields, framing, chunks, connection, upgrades, forwarding, waits, responses)


def all_cases():
    return [case for module in CHAPTERS for case in module.chapter.cases]
