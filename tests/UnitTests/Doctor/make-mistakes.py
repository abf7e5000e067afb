#!/usr/bin/env python3
"""Generates the corpus of mistakes: requests as merchants' code sends them, each with its causes.

The build does not run it. It needs python3 with the package cryptography, and node. It writes Mistakes/*.http with new keys
on each run, and the public keys beside them. The first line of a file names the causes; the rest is the request, byte for
byte.
"""
import base64, hashlib, itertools, json, os, subprocess, urllib.parse
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Mistakes")
os.makedirs(here, exist_ok=True)
PEM = serialization.Encoding.PEM


def key(name):
    made = rsa.generate_private_key(65537, 2048)
    with open(os.path.join(here, name + ".pem"), "wb") as f:
        f.write(made.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return made


K = {name: key(name) for name in ("one", "two", "revoked", "expired", "future", "wallet", "stranger")}
ROUTE = "/v2/payments/cancel"
SMALL = '{"paymentId":"demo-success"}'
RICH = '{"paymentId":"p-17","paymentRequestId":"req/17","note":null,"extendInfo":"{\\"memo\\":\\"Grüße 😀 <a&b> 1+1=2\\"}"}'.replace("req/17", "req-17")
RICH = RICH.replace("1+1=2", "1+1=2 a/b")


def pkcs1(name, data, algorithm=hashes.SHA256()):
    return K[name].sign(data, padding.PKCS1v15(), algorithm)


class Case:
    """A request and the text to sign; a mistake changes one of them."""

    def __init__(self, body=SMALL):
        self.method, self.path, self.host = "POST", ROUTE, "wallet.example"
        self.client, self.time = "M-1", "2026-11-25T03:00:00.123Z"
        self.body = body.encode()
        self.s = {}           # the parts of the text to sign that differ from the request
        self.lf = "\n"
        self.layout = None
        self.whole = lambda b: b
        self.sign = lambda b: pkcs1("one", b)
        self.encode = lambda s: urllib.parse.quote(base64.b64encode(s).decode(), safe="")
        self.version, self.algorithm = "1", "RSA256"
        self.headers = {}
        self.twice = ()
        self.left_out = ()
        self.sent_time = None

    def text(self):
        g = lambda name: self.s.get(name, getattr(self, name))
        body = g("body")
        body = body if isinstance(body, bytes) else body.encode()
        if self.layout:
            return self.whole(self.layout(g("method"), g("path"), g("client"), g("time"), body))
        return self.whole(f"{g('method')} {g('path')}{self.lf}{g('client')}.{g('time')}.".encode() + body)

    def request(self):
        signature = self.encode(self.sign(self.text()))
        header = f"algorithm={self.algorithm}, " if self.algorithm else ""
        header += f"keyVersion={self.version}, " if self.version else ""
        headers = {"Host": self.host, "Client-Id": self.client, "Request-Time": self.time,
                   "Signature": f"{header}signature={signature}", "Content-Type": "application/json; charset=UTF-8"}
        headers.update(self.headers)
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        for name, value in headers.items():
            if name not in self.left_out:
                lines += [f"{name}: {value}"] * (2 if name in self.twice else 1)
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


cases = {}


def add(name, causes, change, body=SMALL):
    case = Case(body)
    change(case)
    cases[name] = (causes, case.request())


def put(**values):
    def change(case):
        for name, value in values.items():
            setattr(case, name, value)
    return change


def signed(**parts):
    return lambda case: case.s.update(parts)


def node(script, *arguments):
    return subprocess.run(["node", "-e", script, *arguments], check=True, capture_output=True).stdout.decode()


dumps = lambda text, **how: json.dumps(json.loads(text), **how)
PRETTY = node("process.stdout.write(JSON.stringify(JSON.parse(process.argv[1]), null, 2))", RICH)

# Nothing is wrong.
add("right", "", put())
add("right-rich", "", put(), RICH)
add("right-pretty", "", put(), PRETTY)
add("right-base64", "", put(encode=lambda s: base64.b64encode(s).decode()))
add("right-base64url", "", put(encode=lambda s: base64.urlsafe_b64encode(s).decode().rstrip("=")))
add("right-mime", "", put(encode=lambda s: urllib.parse.quote(base64.encodebytes(s).decode())))
add("right-newest-key", "", put(version="", sign=lambda b: pkcs1("two", b)))
add("right-epoch", "", put(time="1795575600123"))
add("right-offset", "", put(time="2026-11-25T08:30:00+05:30"))

# The body.
bodies = {
    "python": dumps(RICH), "python-raw": dumps(RICH, ensure_ascii=False),
    "indent-1": dumps(RICH, indent=1, ensure_ascii=False), "indent-2": dumps(RICH, indent=2, ensure_ascii=False),
    "indent-4": dumps(RICH, indent=4, ensure_ascii=False), "indent-tab": dumps(RICH, indent="\t", ensure_ascii=False),
    "indent-2-ascii": dumps(RICH, indent=2), "sorted": dumps(RICH, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
    "sorted-python": dumps(RICH, sort_keys=True), "ascii": dumps(RICH, separators=(",", ":")),
    "ascii-capitals": "".join(c if ord(c) < 128 else "".join("\\u%04X" % u for u in memoryview(c.encode("utf-16-le")).cast("H")) for c in RICH),
    "slashes": RICH.replace("/", "\\/"), "php": dumps(RICH, separators=(",", ":")).replace("/", "\\/"),
    "go": RICH.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
    "gson": RICH.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("=", "\\u003d"),
    "no-nulls": RICH.replace('"note":null,', ""),
    "no-nulls-pretty": dumps(RICH.replace('"note":null,', ""), indent=2, ensure_ascii=False),
    "crlf-pretty": dumps(RICH, indent=2, ensure_ascii=False).replace("\n", "\r\n"),
    "jackson": dumps(RICH, indent=2, ensure_ascii=False, separators=(",", " : ")),
    "node": node("process.stdout.write(JSON.stringify(JSON.parse(process.argv[1]), null, 4))", RICH),
}
for name, form in bodies.items():
    add(f"body-signed-{name}", "body-json", signed(body=form), RICH)
    if name in ("python", "indent-2", "slashes", "php", "ascii", "jackson", "sorted-python", "crlf-pretty"):
        add(f"body-sent-{name}", "body-json", signed(body=RICH), form)
add("body-line-feed-signed", "body-line-feed", signed(body=SMALL + "\n"))
add("body-line-feed-sent", "body-line-feed", signed(body=SMALL), SMALL + "\n")
add("body-crlf-signed", "body-line-feed", signed(body=SMALL + "\r\n"))
add("body-blanks-sent", "body-line-feed", signed(body=SMALL), f"  {SMALL} ")
add("body-mark-signed", "byte-order-mark", signed(body="\ufeff" + SMALL))
add("body-mark-sent", "byte-order-mark", signed(body=SMALL), "\ufeff" + SMALL)
add("body-empty", "body-empty", signed(body=""))
add("body-braces", "body-empty", signed(body="{}"))
add("body-object", "body", signed(body="[object Object]"))
add("body-twice", "body-twice", signed(body=json.dumps(SMALL)))
add("body-percent", "body-encoded", signed(body=urllib.parse.quote(SMALL, safe="")))
add("body-base64", "body-encoded", signed(body=base64.b64encode(SMALL.encode()).decode()))
add("body-sha-hex", "body-hash", signed(body=hashlib.sha256(SMALL.encode()).hexdigest()))
add("body-sha-base64", "body-hash", signed(body=base64.b64encode(hashlib.sha256(SMALL.encode()).digest()).decode()))
add("body-md5", "body-hash", signed(body=hashlib.md5(SMALL.encode()).hexdigest()))
add("body-repr", "body-json", signed(body=SMALL.replace('"', "'")))
add("body-latin1-signed", "charset", signed(body='{"paymentId":"p","extendInfo":"Grüße"}'.encode("latin-1")), '{"paymentId":"p","extendInfo":"Grüße"}')
add("body-gbk-signed", "charset", signed(body='{"paymentId":"p","extendInfo":"订单"}'.encode("gbk")), '{"paymentId":"p","extendInfo":"订单"}')
add("body-utf16-signed", "charset", signed(body=SMALL.encode("utf-16-le")))
add("body-lf-signed", "body-line-break", signed(body=PRETTY), PRETTY.replace("\n", "\r\n"))

# The first line.
for name, lf in {"crlf": "\r\n", "characters": "\\n", "none": "", "two": "\n\n", "space": " ", "cr": "\r", "percent": "%0A"}.items():
    add(f"line-break-{name}", "line-break", put(lf=lf))
add("trailing-line-feed", "body-line-feed", put(whole=lambda b: b + b"\r\n"))
for name, path in {"https": "https://wallet.example" + ROUTE, "http": "http://wallet.example" + ROUTE, "host": "wallet.example" + ROUTE}.items():
    add(f"path-{name}", "path-host", signed(path=path))
add("path-slash", "path-slash", signed(path=ROUTE + "/"))
add("path-no-slash", "path-slash", signed(path=ROUTE[1:]))
add("path-two-slashes", "path-slash", signed(path="/" + ROUTE))
add("path-prefix", "path-prefix", signed(path="/api" + ROUTE))
add("path-ams", "path-prefix", signed(path="/ams/api" + ROUTE))
add("path-encoded", "path-escapes", signed(path=urllib.parse.quote(ROUTE, safe="")))
add("path-http", "path", signed(path=ROUTE + " HTTP/1.1"))
add("path-capitals", "path", signed(path=ROUTE.lower().replace("v2", "v1")))
add("path-last", "path-prefix", signed(path="/cancel"))
add("path-empty", "path", signed(path=""))
def with_query(case):
    case.path = ROUTE + "?trace=a%2fb"
    case.s["path"] = ROUTE
add("path-query", "path-query", with_query)
def query_escapes(case):
    case.path = ROUTE + "?trace=a%2fb"
    case.s["path"] = ROUTE + "?trace=a%2Fb"
add("path-query-escapes", "path-escapes", query_escapes)
def query_decoded(case):
    case.path = ROUTE + "?trace=a%2fb"
    case.s["path"] = ROUTE + "?trace=a/b"
add("path-query-decoded", "path-escapes", query_decoded)
add("method-small", "method", signed(method="post"))
add("method-get", "method", signed(method="GET"))
add("layout-no-first-line", "first-line", put(layout=lambda m, p, c, t, b: f"{c}.{t}.".encode() + b))
add("layout-body", "body-only", put(layout=lambda m, p, c, t, b: b))
add("layout-no-time", "time-left-out", put(layout=lambda m, p, c, t, b: f"{m} {p}\n{c}.".encode() + b))
add("layout-no-client", "client-left-out", put(layout=lambda m, p, c, t, b: f"{m} {p}\n{t}.".encode() + b))
add("layout-no-body", "body-left-out", put(layout=lambda m, p, c, t, b: f"{m} {p}\n{c}.{t}".encode()))
add("layout-order", "order", put(layout=lambda m, p, c, t, b: f"{m} {p}\n{t}.{c}.".encode() + b))
add("layout-commas", "separators", put(layout=lambda m, p, c, t, b: f"{m} {p}\n{c},{t},".encode() + b))
add("layout-lines", "separators", put(layout=lambda m, p, c, t, b: f"{m} {p}\n{c}\n{t}\n".encode() + b))
add("layout-no-dots", "separators", put(layout=lambda m, p, c, t, b: f"{m} {p}\n{c}{t}".encode() + b))
add("layout-method-lines", "separators", put(layout=lambda m, p, c, t, b: f"{m}\n{p}\n{c}.{t}.".encode() + b))
add("layout-no-method", "method", put(layout=lambda m, p, c, t, b: f"{p}\n{c}.{t}.".encode() + b))

# Client and time.
for name, client in {"small": "m-1", "blank": "M-1 ", "line-feed": "M-1\n", "quotes": '"M-1"', "empty": "", "null": "null", "underscore": "M_1"}.items():
    add(f"client-{name}", "client", signed(client=client))
times = {"no-fraction": "2026-11-25T03:00:00Z", "shanghai": "2026-11-25T11:00:00.123+08:00", "shanghai-short": "2026-11-25T11:00:00+08:00",
         "colon": "2026-11-25T03:00:00.123+00:00", "no-colon": "2026-11-25T03:00:00.123+0000", "none": "2026-11-25T03:00:00.123",
         "micro": "2026-11-25T03:00:00.123000Z", "ticks": "2026-11-25T03:00:00.1230000Z", "epoch": "1795575600123", "epoch-seconds": "1795575600",
         "percent": "2026-11-25T03%3A00%3A00.123Z", "blank": "2026-11-25 03:00:00", "local": "2026-11-25T11:00:00", "empty": "",
         "undefined": "undefined", "http": "Wed, 25 Nov 2026 03:00:00 GMT", "india": "2026-11-25T08:30:00.123+05:30"}
for name, time in times.items():
    add(f"time-signed-{name}", "time-format", signed(time=time))
def epoch_sent(case):
    case.s["time"], case.time = "2026-11-25T03:00:00.123Z", "1795575600123"
add("time-sent-epoch", "time-format", epoch_sent)
def plus(case):
    case.time, case.s["time"] = "2026-11-25T11:00:00+08:00", "2026-11-25T11:00:00 08:00"
add("time-plus", "time-format", plus)
for name, time in {"7-ms": "2026-11-25T03:00:00.130Z", "1-s": "2026-11-25T03:00:01.123Z", "minus-40-ms": "2026-11-25T03:00:00.083Z"}.items():
    add(f"time-moment-{name}", "time-moment", signed(time=time))
def seconds_apart(case):
    case.time, case.s["time"] = "2026-11-25T11:00:00+08:00", "2026-11-25T11:00:02+08:00"
add("time-moment-seconds", "time-moment", seconds_apart)

# The whole text.
for name, (cause, whole) in {
    "sha": ("hashed-twice", lambda b: hashlib.sha256(b).digest()), "sha-hex": ("hashed-twice", lambda b: hashlib.sha256(b).hexdigest().encode()),
    "sha-hex-capitals": ("hashed-twice", lambda b: hashlib.sha256(b).hexdigest().upper().encode()),
    "sha-base64": ("hashed-twice", lambda b: base64.b64encode(hashlib.sha256(b).digest())), "md5-hex": ("hashed-twice", lambda b: hashlib.md5(b).hexdigest().encode()),
    "base64": ("encoded", base64.b64encode), "hex": ("encoded", lambda b: b.hex().encode()),
    "utf16": ("charset", lambda b: b.decode().encode("utf-16-le")), "utf16-mark": ("charset", lambda b: b.decode().encode("utf-16")),
    "utf16-be": ("charset", lambda b: b.decode().encode("utf-16-be")), "mark": ("byte-order-mark", lambda b: b"\xef\xbb\xbf" + b),
    "percent": ("encoded", lambda b: urllib.parse.quote(b, safe="").encode()),
}.items():
    add(f"whole-{name}", cause, put(whole=whole))
add("whole-latin1", "charset", put(whole=lambda b: b.decode().encode("latin-1")), '{"paymentId":"p","extendInfo":"Grüße"}')
add("whole-gbk", "charset", put(whole=lambda b: b.decode().encode("gbk")), '{"paymentId":"p","extendInfo":"订单"}')
add("whole-double", "charset", put(whole=lambda b: b.decode("latin-1").encode()), '{"paymentId":"p","extendInfo":"Grüße"}')
add("whole-ascii", "charset", put(whole=lambda b: b.decode().encode("ascii", "replace")), '{"paymentId":"p","extendInfo":"Grüße"}')

# Hash, padding, key.
add("hash-sha1", "hash", put(sign=lambda b: pkcs1("one", b, hashes.SHA1())))
add("hash-sha512", "hash", put(sign=lambda b: pkcs1("one", b, hashes.SHA512())))
add("hash-sha384", "hash", put(sign=lambda b: pkcs1("one", b, hashes.SHA384())))
add("hash-md5", "hash", put(sign=lambda b: pkcs1("one", b, hashes.MD5())))
pss = lambda salt: lambda b: K["one"].sign(b, padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())
add("padding-pss", "padding", put(sign=pss(32)))
add("padding-pss-longest", "padding", put(sign=pss(padding.PSS.MAX_LENGTH)))
add("padding-pss-mgf1-sha1", "padding", put(sign=lambda b: K["one"].sign(b, padding.PSS(padding.MGF1(hashes.SHA1()), 20), hashes.SHA256())))


def raw(content):
    n = K["one"].public_key().public_numbers().n
    d = K["one"].private_numbers().d
    block = b"\0\1" + b"\xff" * (256 - 3 - len(content)) + b"\0" + content
    return pow(int.from_bytes(block, "big"), d, n).to_bytes(256, "big")


add("padding-bare-hash", "padding", put(sign=lambda b: raw(hashlib.sha256(b).digest())))
add("padding-encrypted-text", "padding", put(sign=raw))
add("key-version", "key-version", put(sign=lambda b: pkcs1("two", b)))
add("key-version-other", "key-version", put(version="2"))
for name in ("revoked", "expired", "future"):
    add(f"key-{name}-signed", "key-version", put(sign=lambda b, name=name: pkcs1(name, b)))
add("key-revoked", "key-not-active", put(version="3", sign=lambda b: pkcs1("revoked", b)))
add("key-expired", "key-not-active", put(version="4", sign=lambda b: pkcs1("expired", b)))
add("key-future", "key-not-active", put(version="5", sign=lambda b: pkcs1("future", b)))
add("key-unknown-version", "key-version-unknown", put(version="9"))
add("key-wallet", "key-wallet", put(sign=lambda b: pkcs1("wallet", b)))
add("key-stranger", "key-unknown", put(sign=lambda b: pkcs1("stranger", b)))
add("key-longer", "key-unknown", put(sign=lambda b: rsa.generate_private_key(65537, 3072).sign(b, padding.PKCS1v15(), hashes.SHA256())))
add("no-rsa-ec", "signature-no-rsa", put(sign=lambda b: ec.generate_private_key(ec.SECP256R1()).sign(b, ec.ECDSA(hashes.SHA256()))))
add("no-rsa-hmac", "signature-no-rsa", put(sign=lambda b: hashlib.sha256(b).digest()))
add("algorithm", "algorithm", put(algorithm="RS256"))
add("algorithm-and-hash", "algorithm hash", put(algorithm="RSA1", sign=lambda b: pkcs1("one", b, hashes.SHA1())))

# The signature's own encoding.
b64 = lambda s: base64.b64encode(s).decode()
for name, encode in {
    "hex": lambda s: s.hex(), "hex-capitals": lambda s: s.hex().upper(), "twice": lambda s: urllib.parse.quote(urllib.parse.quote(b64(s), safe=""), safe=""),
    "blanks": lambda s: b64(s).replace("+", " "), "base64-twice": lambda s: b64(b64(s).encode()), "base64-of-hex": lambda s: b64(s.hex().encode()),
    "quotes": lambda s: f'"{b64(s)}"', "backslash-n": lambda s: base64.encodebytes(s).decode().replace("\n", "\\n"),
    "reversed": lambda s: b64(s[::-1]), "json": lambda s: b64(s).replace("+", "\\u002B"), "octets": lambda s: b64(b"\x04\x82\x01\x00" + s),
    "text": lambda s: b64(s.decode("latin-1").encode()), "zero": lambda s: b64(b"\0" + s), "slashes": lambda s: b64(s).replace("/", "\\/"),
}.items():
    body = SMALL
    for i in range(100):  # One in which there is something to be disfigured.
        body = '{"paymentId":"demo-%d"}' % i
        case = Case(body)
        text = b64(case.sign(case.text()))
        if text.count("+") > 1 and "/" in text:
            break
    add(f"encoding-{name}", "signature-encoding", put(encode=encode), body)
add("encoding-cut", "signature-cut", put(encode=lambda s: b64(s[:200])))
add("encoding-cut-short", "signature-cut", put(encode=lambda s: b64(s[:100])))

# Headers, path, method, body.
add("header-missing-time", "header-missing", put(left_out=("Request-Time",)))
add("header-missing-signature", "header-missing", put(left_out=("Signature",)))
add("header-twice", "header-twice", put(twice=("Client-Id",)))
add("header-signature", "signature-header", put(headers={"Signature": "abc"}))
add("accept", "accept", put(headers={"Accept": "image/png"}))
add("content-type", "content-type", put(headers={"Content-Type": "text/plain"}))
add("path-unknown", "path-unknown", put(path="/v2/payments/cancel/"))
add("path-unknown-slashes", "path-unknown", put(path="//v2/payments/cancel"))
add("method-not-post", "method-not-post", put(method="PUT"))
add("client-unknown", "client-unknown", put(client="M-2"))
add("client-malformed", "client-malformed client-unknown", put(client="M 1"))
add("time-offset", "time-offset", put(time="2026-11-25T03:00:00"))
add("time-malformed", "time-malformed", put(time="yesterday"))
add("time-seconds", "time-seconds", put(time="1795575600"))
add("clock-ahead", "clock", put(time="2026-11-25T03:07:11Z"))
add("clock-zone-ahead", "clock-zone", put(time="2026-11-25T11:00:00Z"))
add("clock-zone-behind", "clock-zone", put(time="2026-11-25T03:00:00+08:00"))
add("clock-daylight", "clock-zone", put(time="2026-11-25T04:00:03Z"))
add("body-no-json", "body", put(), '{"paymentId":"a",}')
add("body-no-id", "body", put(), '{"extendInfo":"a"}')
add("body-bad-id", "body", put(), '{"paymentId":"a b"}')
add("body-form", "body", put(), "paymentId=a")

# Two at a time.
singles = {
    "crlf": ("line-break", put(lf="\r\n")), "characters": ("line-break", put(lf="\\n")),
    "host": ("path-host", signed(path="https://wallet.example" + ROUTE)), "prefix": ("path-prefix", signed(path="/api" + ROUTE)),
    "client": ("client", signed(client="m-1")), "time": ("time-format", signed(time="2026-11-25T11:00:00+08:00")),
    "epoch": ("time-format", signed(time="1795575600123")), "pretty": ("body-json", signed(body=dumps(RICH, indent=2, ensure_ascii=False))),
    "python": ("body-json", signed(body=dumps(RICH))), "line-feed": ("body-line-feed", signed(body=RICH + "\n")),
    "sha1": ("hash", put(sign=lambda b: pkcs1("one", b, hashes.SHA1()))), "key": ("key-version", put(sign=lambda b: pkcs1("two", b))),
    "wallet": ("key-wallet", put(sign=lambda b: pkcs1("wallet", b))), "hex": ("signature-encoding", put(encode=lambda s: s.hex())),
    "digest": ("hashed-twice", put(whole=lambda b: hashlib.sha256(b).digest())), "small": ("method", signed(method="post")),
}
touches = {"crlf": "lf", "characters": "lf", "host": "path", "prefix": "path", "time": "time", "epoch": "time", "pretty": "body", "python": "body",
           "line-feed": "body", "sha1": "sign", "key": "sign", "wallet": "sign"}
for (a, (cause, change)), (b, (other, also)) in itertools.combinations(singles.items(), 2):
    if touches.get(a, a) != touches.get(b, b):
        add(f"pair-{a}-{b}", f"{cause} {other}", lambda case: (change(case), also(case)), RICH)

for name in os.listdir(here):
    if name.endswith(".http"):
        os.remove(os.path.join(here, name))
for name, (causes, request) in cases.items():
    with open(os.path.join(here, name + ".http"), "wb") as f:
        f.write(f"causes: {causes}".rstrip().encode() + b"\n" + request)
print(len(cases), "mistakes")
