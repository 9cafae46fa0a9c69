# SPDX-License-Identifier: Apache-2.0
"""1.32-1.36: the chunked coding of requests."""

from case import Chapter, chunked, get, post

chapter = c = Chapter()
SMUGGLED = get("/smuggled")
END = "0\r\n\r\n"

# ---- 1.32 ------------------------------------------------------------------------------------------------------------
for what, body, data in (("no data", END, ""), ("one chunk", "3\r\nabc\r\n" + END, "abc"),
                         ("three chunks", "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n" + END, "abcdef"),
                         ("digits in capitals", "A\r\n0123456789\r\n" + END, "0123456789"),
                         ("small digits", "a\r\n0123456789\r\n" + END, "0123456789"),
                         ("leading zeros", "0003\r\nabc\r\n" + END, "abc"),
                         ("sixteen digits", "0000000000000003\r\nabc\r\n" + END, "abc"),
                         ("a last chunk of sixteen zeros", "1\r\na\r\n0000000000000000\r\n\r\n", "a"),
                         ("data that looks like the last chunk", "5\r\n0\r\n\r\n\r\n" + END, "0\r\n\r\n"),
                         ("65,536 octets in one chunk", "10000\r\n" + "d" * 65536 + "\r\n" + END, "d" * 65536),
                         ("a thousand chunks of one", "1\r\nx\r\n" * 1000 + END, "x" * 1000)):
    c.passed("1.32", f"a chunked body of {what}", chunked(body), body=data)
for what, body in (("seventeen digits", "00000000000000003\r\nabc\r\n" + END),
                   ("a size of 2^63", "8000000000000000\r\na"),
                   ("a size of 2^64", "10000000000000000\r\na"), ("a size of 2^64 - 1", "ffffffffffffffff\r\na"),
                   ("a plus", "+3\r\nabc\r\n" + END), ("a minus", "-3\r\nabc\r\n" + END),
                   ("minus zero", "-0\r\n\r\n"), ("a prefix", "0x3\r\nabc\r\n" + END),
                   ("no digits", "\r\nabc\r\n" + END),
                   ("a letter", "g\r\nabc\r\n" + END), ("a letter behind the digits", "3g\r\nabc\r\n" + END),
                   ("a space before it", " 3\r\nabc\r\n" + END), ("a space behind it", "3 \r\nabc\r\n" + END),
                   ("a tab behind it", "3\t\r\nabc\r\n" + END), ("a space before the last zero",
                                                                 "3\r\nabc\r\n 0\r\n\r\n"),
                   ("a separator", "1_0\r\nabc\r\n" + END), ("a comma", "3,3\r\nabc\r\n" + END),
                   ("a NUL", "3\0\r\nabc\r\n" + END), ("a fraction", "3.0\r\nabc\r\n" + END),
                   ("an 8-bit byte", "\xb3\r\nabc\r\n" + END)):
    c.refused_body("1.32", f"a chunk size with {what}", 400, chunked(body + SMUGGLED))
for what, body in (("LF alone behind the size", "3\nabc\r\n" + END), ("CR alone behind the size", "3\rabc\r\n" + END),
                   ("LF alone behind the data", "3\r\nabc\n" + END), ("CR alone behind the data", "3\r\nabc\r" + END),
                   ("nothing behind the data", "3\r\nabc" + END), ("two bytes that are no CRLF behind the data",
                                                                  "3\r\nabcXX" + END),
                   ("one byte too many", "3\r\nabcd\r\n" + END), ("one byte too few", "3\r\nab\r\n" + END),
                   ("an empty line between chunks", "3\r\nabc\r\n\r\n" + END),
                   ("an empty line before the first chunk", "\r\n3\r\nabc\r\n" + END),
                   ("LF alone behind the last chunk", "3\r\nabc\r\n0\n\r\n"),
                   ("LF alone at the end", "3\r\nabc\r\n0\r\n\n"),
                   ("CR and no LF at the end", "3\r\nabc\r\n0\r\n\rX")):
    c.refused_body("1.32", f"chunks with {what}", 400, chunked(body + SMUGGLED))

# ---- 1.33 ------------------------------------------------------------------------------------------------------------
for what, line in (("a name", "3;a"), ("a name and a token", "3;a=b"), ("a quoted string", '3;a="b c"'),
                   ("an escaped quote", '3;a="b\\"c"'), ("an escaped backslash", '3;a="\\\\"'),
                   ("an empty quoted string", '3;a=""'),
                   ("obs-text in a quoted string", '3;a="\xe9"'), ("a semicolon in a quoted string", '3;a=";b=c;"'),
                   ("three extensions", '3;a;b=c;d="e"'), ("1,024 octets", "3;" + "a" * 1023)):
    c.passed("1.33", f"an extension of {what} ends here", chunked(f"{line}\r\nabc\r\n{END}"), body="abc")
c.passed("1.33", "an extension on the last chunk", chunked("3\r\nabc\r\n0;last=1\r\n\r\n"), body="abc")
c.passed("1.33", "16 extensions of 1 KiB", chunked(("1;" + "a" * 1023 + "\r\nx\r\n") * 16 + END), body="x" * 16)
for what, line in (("1,025 octets", "3;" + "a" * 1024), ("no end", "3;" + "a" * 100000), ("no name", "3;"),
                   ("no name and a value", "3;=b"), ("an empty name between two", "3;a;;b"), ("no value", "3;a="),
                   ("a space before the semicolon", "3 ;a"), ("a space behind the semicolon", "3; a"),
                   ("a space around the equals sign", "3;a =b"), ("a space before the value", "3;a= b"),
                   ("a space at the end", "3;a=b "), ("an open quote", '3;a="b'),
                   ("a byte behind the quote", '3;a="b"c'),
                   ("two values", "3;a=b=c"), ("a comma", "3;a,b"), ("a control byte", "3;a=\x01"),
                   ("a control byte in quotes", '3;a="\x01"'), ("a NUL in quotes", '3;a="\0"'),
                   ("a DEL in quotes", '3;a="\x7f"'),
                   ("a lone LF", "3;a\nb"), ("a lone LF in quotes", '3;a="\n"'), ("CRLF in quotes", '3;a="\r\n"'),
                   ("a lone CR in quotes", '3;a="\rb"'), ("an escaped LF", '3;a="\\\n"'), ("a lone CR", "3;a\rb"),
                   ("a lone LF at its end", "3;a\nabc"), ("an 8-bit byte outside quotes", "3;\xe9")):
    c.refused_body("1.33", f"an extension with {what}", 400, chunked(f"{line}\r\nabc\r\n{END}{SMUGGLED}"))
c.refused_body("1.33", "17 extensions of 1 KiB", 400, chunked(("1;" + "a" * 1023 + "\r\nx\r\n") * 17 + END))

# ---- 1.34 ------------------------------------------------------------------------------------------------------------
def trailers(lines):
    return chunked("3\r\nabc\r\n0\r\n" + lines + "\r\n")


for what, lines in (("one", "X-T: 1\r\n"), ("two", "X-T: 1\r\nX-U:2 \r\n"), ("an empty one", "X-T:\r\n"),
                    ("32", "".join(f"X-{i}: 1\r\n" for i in range(32))), ("8 KiB", f"X-T: {'v' * 8185}\r\n"),
                    ("a Host", "Host: b.example\r\n"), ("a length", "Content-Length: 5\r\n"),
                    ("a coding", "Transfer-Encoding: chunked\r\n"), ("Authorization", "Authorization: Bearer x\r\n"),
                    ("X-Forwarded-For", "X-Forwarded-For: 6.6.6.6\r\n"), ("the key of a rule", "X-API-Key: x\r\n"),
                    ("two of a singleton", "Content-Type: a\r\nContent-Type: b\r\n"),
                    ("Connection", "Connection: close\r\n")):
    c.passed("1.34", f"trailers are dropped: {what}", trailers(lines), body="abc", peers=what in ("one", "two"))
c.passed("1.34", "Trailer is removed with the trailers it announces",
         chunked("0\r\nX-T: 1\r\n\r\n", "Trailer: X-T"), kept=[], body="")
for what, lines in (("33 of them", "".join(f"X-{i}: 1\r\n" for i in range(33))),
                    ("8 KiB and one", f"X-T: {'v' * 8200}\r\n"),
                    ("70,000 octets in one value", f"X-T: {'v' * 70000}\r\n"),
                    ("no end", "X-T: 1\r\n" * 5000), ("a space before the colon", "X-T : 1\r\n"),
                    ("no colon", "X-T\r\n"),
                    ("an empty name", ": 1\r\n"), ("a fold", "X-T: 1\r\n 2\r\n"),
                    ("a space at the start", " X-T: 1\r\n"),
                    ("a lone LF", "X-T: 1\n"), ("a lone CR", "X-T: 1\rX-U: 2\r\n"), ("a NUL", "X-T: \0\r\n"),
                    ("a DEL", "X-T: \x7f\r\n"), ("an 8-bit name", "X\xe9: 1\r\n"),
                    ("a name of 257 octets", "n" * 257 + ": 1\r\n")):
    c.refused_body("1.34", f"trailers with {what}", 400, trailers(lines) + SMUGGLED)

# ---- 1.36 ------------------------------------------------------------------------------------------------------------
c.refused_body("1.36", "a chunk that is wrong behind 100,000 octets", 400,
               chunked("186a0\r\n" + "d" * 100000 + "\r\nzz\r\n" + SMUGGLED))
c.refused_body("1.36", "a chunked body that ends with the connection", 400, chunked("5\r\nabc"), end="fin")
c.refused_body("1.36", "a chunked body that ends behind a chunk", 400, chunked("3\r\nabc\r\n"), end="fin")
c.refused_body("1.36", "a chunked body that ends before its last CRLF", 400, chunked("3\r\nabc\r\n0\r\n"), end="fin")
c.refused_body("1.36", "a body shorter than its length", 400, post("Content-Length: 5", "123"), end="fin")
c.refused_body("1.36", "no byte of a body", 400, post("Content-Length: 5"), end="fin")
