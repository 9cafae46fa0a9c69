# SPDX-License-Identifier: Apache-2.0
"""Structured fields, read as strictly as RFC 9651 section 4.2 demands: anything else is Malformed."""

import base64
import re

KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*")
NUMBER = re.compile(r"-?(\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])")


class Malformed(Exception):
    pass


class Token(str):
    pass


class _Reader:
    def __init__(self, text):
        if not text.isascii():
            raise Malformed("not ASCII")
        self.text, self.at = text.strip(" "), 0

    def rest(self):
        return self.text[self.at:]

    def take(self, pattern):
        match = pattern.match(self.text, self.at)
        if not match:
            raise Malformed(f"at {self.rest()!r}")
        self.at = match.end()
        return match[0]

    def accept(self, char):
        if not self.rest().startswith(char):
            return False
        self.at += len(char)
        return True

    def ows(self):
        while self.rest()[:1] in (" ", "\t"):
            self.at += 1

    def string(self):
        out = ""
        while True:
            char = self.rest()[:1]
            self.at += 1
            if char == '"':
                return out
            if char == "\\":
                char = self.rest()[:1]
                self.at += 1
                if char not in ('"', "\\"):
                    raise Malformed("escape")
            elif not char or not 0x20 <= ord(char) < 0x7f:
                raise Malformed("string")
            out += char

    def bare_item(self):
        if self.accept('"'):
            return self.string()
        if self.accept("?"):
            return self.take(re.compile("[01]")) == "1"
        if self.accept(":"):
            content = self.take(re.compile(r"[A-Za-z0-9+/=]*"))
            if not self.accept(":"):
                raise Malformed("bytes")
            return base64.b64decode(content, validate=True)
        if self.rest()[:1] == "-" or self.rest()[:1].isdigit():
            number = self.take(NUMBER)
            return float(number) if "." in number else int(number)
        return Token(self.take(TOKEN))

    def parameters(self):
        out = {}
        while self.accept(";"):
            while self.accept(" "):
                pass
            key = self.take(KEY)
            out[key] = self.bare_item() if self.accept("=") else True
        return out

    def more(self):
        """Behind a member: True when another one follows."""
        self.ows()
        if not self.rest():
            return False
        if not self.accept(","):
            raise Malformed(f"at {self.rest()!r}")
        self.ows()
        if not self.rest():
            raise Malformed("a comma at the end")
        return True


def parse_list(text):
    """[(bare item, parameters), ...]; inner lists are not read: none of the fields here has them."""
    reader, out = _Reader(text), []
    more = bool(reader.rest())
    while more:
        out.append((reader.bare_item(), reader.parameters()))
        more = reader.more()
    return out


def parse_dictionary(text):
    reader, out = _Reader(text), {}
    more = bool(reader.rest())
    while more:
        key = reader.take(KEY)
        out[key] = (reader.bare_item() if reader.accept("=") else True, reader.parameters())
        more = reader.more()
    return out


def parse_integer(text):
    """An item that is an integer without parameters, which is also 1*DIGIT when it is not negative."""
    (value, parameters), = parse_list(text)
    if type(value) is not int or parameters:
        raise Malformed(text)
    return value
