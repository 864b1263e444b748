"""Answers of servers that break the rules, compared with what curl makes of them without a proxy.

ALIKE: curl gets the same with and without the proxy, content or a failure. MENDED: curl alone fails, but gets the
content through the proxy; other clients accept these. REFUSED: curl accepts these, and the proxy refuses them; each
has its reason."""

import pytest

from lab.run import run

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"2\r\nok\r\n0\r\n\r\n"
MARK = b"\nstatus "


def chunks(data):
    return OK + CHUNKED + b"\r\n" + data


def coded(value, fields=b"", data=CHUNKS):
    return OK + fields + b"Transfer-Encoding: " + value + b"\r\n\r\n" + data


def length(value, data=b"ok"):
    return OK + b"Content-Length: " + value + b"\r\n\r\n" + data


def status(line):
    return line + b"\r\nContent-Length: 2\r\n\r\nok"


def head(kib):
    return OK + (b"X: " + b"x" * 1019 + b"\r\n") * kib + b"Content-Length: 2\r\n\r\nok"


ALIKE = {
    # chunk sizes
    "chunks": chunks(CHUNKS),
    "LF behind a size": chunks(b"2\nok\r\n0\r\n\r\n"),
    "LF behind the last size": chunks(b"2\r\nok\r\n0\n\r\n"),
    "CR CR LF behind a size": chunks(b"2\r\r\nok\r\n0\r\n\r\n"),
    "LF for each line": chunks(b"2\nok\n0\n\n"),
    "blanks behind a size": chunks(b"2 \t\r\nok\r\n0  \r\n\r\n"),
    "text behind a size": chunks(b"2 foo\r\nok\r\n0 bar\r\n\r\n"),
    "text at a size": chunks(b"2g\r\nok\r\n0\r\n\r\n"),
    "extension": chunks(b"2;a=b\r\nok\r\n0;c\r\n\r\n"),
    "control bytes in an extension": chunks(b"2;a=\0\x1b\x7f\r\nok\r\n0\r\n\r\n"),
    "CR in an extension": chunks(b"2;a\rb\r\nok\r\n0\r\n\r\n"),
    "LF in a quoted extension": chunks(b'2;a="\n"\r\nok\r\n0\r\n\r\n'),
    "extension of 8000 bytes": chunks(b"2;" + b"a" * 8000 + b"\r\nok\r\n0\r\n\r\n"),
    "leading zeros": chunks(b"0000000000000002\r\nok\r\n0\r\n\r\n"),
    "upper case": chunks(b"A\r\n0123456789\r\n0\r\n\r\n"),
    "lower case": chunks(b"a\r\n0123456789\r\n0\r\n\r\n"),
    "000 at the end": chunks(b"2\r\nok\r\n000\r\n\r\n"),
    "negative size": chunks(b"-2\r\nok\r\n0\r\n\r\n"),
    "plus": chunks(b"+2\r\nok\r\n0\r\n\r\n"),
    "no size": chunks(b"\r\nok\r\n0\r\n\r\n"),
    "extension alone": chunks(b";a\r\nok\r\n0\r\n\r\n"),
    "no number": chunks(b"zz\r\nok\r\n0\r\n\r\n"),
    "quoted size": chunks(b'"2"\r\nok\r\n0\r\n\r\n'),
    "size of 64 bits and more": chunks(b"10000000000000002\r\nok\r\n0\r\n\r\n"),
    # after the data
    "LF behind data": chunks(b"2\r\nok\n0\r\n\r\n"),
    "CR CR LF behind data": chunks(b"2\r\nok\r\r\n0\r\n\r\n"),
    "more data than told": chunks(b"2\r\nokk\r\n0\r\n\r\n"),
    "no line end behind data": chunks(b"2\r\nok2\r\nok\r\n0\r\n\r\n"),
    "empty line behind data": chunks(b"2\r\nok\r\n\r\n0\r\n\r\n"),
    # trailers and the end
    "trailer": chunks(b"2\r\nok\r\n0\r\nA: b\r\n\r\n"),
    "LF behind a trailer": chunks(b"2\r\nok\r\n0\r\nA: b\n\n"),
    "LF at the end": chunks(b"2\r\nok\r\n0\r\n\n"),
    "folded trailer": chunks(b"2\r\nok\r\n0\r\nA: b\r\n c\r\n\r\n"),
    "folded first trailer": chunks(b"2\r\nok\r\n0\r\n A: b\r\n\r\n"),
    "odd name of a trailer": chunks(b"2\r\nok\r\n0\r\nA b: c\r\n\r\n"),
    "trailer that frames": chunks(b"2\r\nok\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n"),
    "CR at a trailer's beginning": chunks(b"2\r\nok\r\n0\r\n\rX\r\n\r\n"),
    "no CRLF at the end": chunks(b"2\r\nok\r\n0\r\n"),
    "no line end at the end": chunks(b"2\r\nok\r\n0"),
    "no last chunk": chunks(b"2\r\nok\r\n"),
    "cut behind data": chunks(b"2\r\nok"),
    "cut in the trailers": chunks(b"2\r\nok\r\n0\r\nA: b\r\n"),
    # codings
    "chunked in two lines": coded(b"chunked", CHUNKED),
    "chunked, chunked": coded(b"chunked, chunked"),
    ",chunked": coded(b",chunked"),
    "chunked,": coded(b"chunked,"),
    "chunked, identity": coded(b"chunked, identity"),
    "identity, chunked": coded(b"identity, chunked"),
    "identity in a line of its own": coded(b"identity", CHUNKED),
    "identity, identity": coded(b"identity, identity", b"Content-Length: 2\r\n", b"ok"),
    "Chunked": coded(b"Chunked"),
    "CHUNKED behind a tab": coded(b"\tCHUNKED\t"),
    "empty coding": coded(b"", b"Content-Length: 2\r\n", b"ok"),
    "empty coding alone": coded(b"", b"", b"ok"),
    "xchunked": coded(b"xchunked"),
    "chunked with a parameter": coded(b"chunked;a=b"),
    "quoted chunked": coded(b'"chunked"'),
    "chunked with a vertical tab": coded(b"\x0bchunked"),
    "chunked and NUL": coded(b"chunked\0"),
    "a quote in a coding": coded(b'gzip;a="b, chunked'),
    "two words": coded(b"chunked b"),
    # lengths
    "+2": length(b"+2"),
    "2;": length(b"2;"),
    "2;x=y": length(b"2;x=y"),
    "2, 2": length(b"2, 2"),
    "2,2,": length(b"2,2,"),
    "02; 2, +2": length(b"02;a, +2"),
    "length twice": length(b"2\r\nContent-Length: 2"),
    "no digits": length(b"x"),
    "empty length": length(b""),
    "empty element first": length(b",2"),
    "-1": length(b"-1"),
    "++2": length(b"++2"),
    "+ 2": length(b"+ 2"),
    "length and NUL": length(b"2\0"),
    "quoted length": length(b'"2"'),
    # heads
    "head of 90 KiB": head(90),
    "line of 90 KB": OK + b"X: " + b"x" * 90000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "head of 250 KiB": head(250),
    "head of 400 KiB": head(400),
    # status lines
    "HTTP/2 200": status(b"HTTP/2 200"),
    "HTTP/2.0": status(b"HTTP/2.0 200 OK"),
    "HTTP/3": status(b"HTTP/3 200 OK"),
    "HTTP/1": status(b"HTTP/1 200 OK"),
    "HTTP": status(b"HTTP 200 OK"),
    "HTTP/1.10": status(b"HTTP/1.10 200 OK"),
    "HTTP/01.1": status(b"HTTP/01.1 200 OK"),
    "HTTP/0.9": status(b"HTTP/0.9 200 OK"),
    "no blank before the status": status(b"HTTP/1.1200OK"),
    "no blank behind the status": status(b"HTTP/1.1 200OK"),
    "colon behind the status": status(b"HTTP/1.1 200:OK"),
    "no phrase": status(b"HTTP/1.1 200"),
    "two blanks": status(b"HTTP/1.1  200  OK"),
    "http/1.1": status(b"http/1.1 200 OK"),
    "status of two digits": status(b"HTTP/1.1 20 OK"),
    "status of four digits": status(b"HTTP/1.1 2000 OK"),
    "status with a letter": status(b"HTTP/1.1 20x OK"),
    "099": status(b"HTTP/1.1 099 OK"),
    "999": status(b"HTTP/1.1 999 OK"),
    "blank first": status(b" HTTP/1.1 200 OK"),
    "no head": b"ok",
}

MENDED = {
    "blanks before a size": chunks(b" \t2\r\nok\r\n 0\r\n\r\n"),  # wget, Python
    "20 digits": chunks(b"00000000000000000002\r\nok\r\n0\r\n\r\n"),  # wget, Python
    "stray line for a trailer": chunks(b"2\r\nok\r\n0\r\nstray\r\n\r\n"),  # wget, Python
    "control bytes in a trailer": chunks(b"2\r\nok\r\n0\r\nA: b\0\x1b\r\n\r\n"),  # wget, Python
    "CR in a trailer": chunks(b"2\r\nok\r\n0\r\nA: b\rC: d\r\n\r\n"),  # wget, Python
    "HTTP/1.2": status(b"HTTP/1.2 200 OK"),  # RFC 9110 2.5: read as HTTP/1.1
    "tabs in the status line": status(b"HTTP/1.1\t200\tOK"),  # wget, Python
    "ICY": status(b"ICY 200 OK"),  # radio streams
    "empty line first": status(b"\r\nHTTP/1.1 200 OK"),  # older curls, browsers
}

REFUSED = {
    "0x2": (chunks(b"0x2\r\nok\r\n0\r\n\r\n"), "0 for curl, 2 for wget and Python"),
    "2_0": (chunks(b"2_0\r\nok\r\n0\r\n\r\n"), "2 for curl, 32 for Python"),
    "half of the last CRLF": (chunks(b"2\r\nok\r\n0\r\n\r"), "cut off: nothing that is cut off is an end"),
    "extension of 20,000 bytes": (chunks(b"2;" + b"a" * 20000 + b"\r\nok\r\n0\r\n\r\n"), "the limit is 16 KiB"),
    "two lengths": (length(b"2\r\nContent-Length: 3", b"okk"), "the last for curl, the first for wget"),
    "two lengths in a list": (length(b"2, 3", b"okk"), "2 for curl, none for Python"),
    "2 0": (length(b"2 0"), "2 for curl, none for Python, 20 where blanks are taken out"),
    "0x2 as length": (length(b"0x2"), "0 for curl, none for Python"),
    "2.0": (length(b"2.0"), "2 for curl, none for Python"),
    "2b": (length(b"2b"), "2 for curl, none for Python"),
    "length beyond 64 bits": (length(b"18446744073709551618"), "2 where 64 bits wrap, none for curl"),
    "CR CR LF at the head's end": (OK + b"Content-Length: 2\r\n\r\r\nok", "the end for curl, a line for wget and Python"),
    "CR alone at a line's beginning": (OK + b"Content-Length: 2\r\n\rX\r\n\r\nok", "the end for curl, a line for wget and Python"),
    "head of 290 KiB": (head(290), "the limit is 256 KiB"),
}


@pytest.fixture(scope="module")
def replies():
    all_of = {**ALIKE, **MENDED, **{name: reply for name, (reply, _) in REFUSED.items()}}
    return list(all_of.values()), {name: n for n, name in enumerate(all_of)}


@pytest.fixture
def server(origin, replies):
    """Send the reply whose number is in the path, then FIN."""

    def serve(s):
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += s.recv(65536)
        s.sendall(replies[0][int(asked.split()[1].rpartition(b"/")[2])])
        s.shutdown(1)
        s.recv(1)

    return origin(serve)


@pytest.fixture
def ask(lab, server, replies):
    """Ask for a reply by curl. @return its content, or None for a failure; and curl's message"""

    def by_curl(name, *options, wrap=()):
        url = f"http://{server.hostport}/{replies[1][name]}"
        done = run(*wrap, "curl", "--disable", "--silent", "--show-error", "--max-time", "20", "--write-out", MARK.decode() + "%{http_code}", *options, url)
        content, _, code = done.out.rpartition(MARK)
        return (content if done.code == 0 and code != b"502" else None), done

    def direct(name):
        return by_curl(name, "--noproxy", "*", wrap=lab.internet.wrap([]))

    def through(proxy, name, *options):
        return by_curl(name, "--proxy", proxy.hostport, *options)

    return direct, through


VERSIONS = ("--http1.1", "--http1.0")


def test_curl_gets_the_same_through_the_proxy(start, ask):
    direct, through = ask
    proxy, different, taken = start("wan1"), [], 0
    for name in ALIKE:
        expected, alone = direct(name)
        taken += expected is not None
        for version in VERSIONS:
            content, done = through(proxy, name, version)
            if content != expected:
                different.append(f"{name}, {version}: {expected!r} alone, {content!r} through\n{alone}\n{done}")
    assert not different, "\n".join(different)
    assert taken > len(ALIKE) / 2


def test_answers_that_other_clients_accept_are_mended(start, ask):
    direct, through = ask
    proxy = start("wan1")
    for name in MENDED:
        for version in VERSIONS:
            content, done = through(proxy, name, version)
            assert content == b"ok", f"{name}, {version}: {done}"


def test_ambiguous_answers_are_refused(start, ask):
    direct, through = ask
    proxy = start("wan1")
    for name, (_, why) in REFUSED.items():
        for version in VERSIONS:
            content, done = through(proxy, name, version)
            assert content is None, f"{name} ({why}), {version}: {done}"
