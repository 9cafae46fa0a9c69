# SPDX-License-Identifier: Apache-2.0
"""Users and tiers from verified tokens: what a token claims is charged only when it was verified."""

import base64
import hashlib
import hmac
import json
import os
import re
import time

from support.check import envelope, equal
from support.weir import wait_until

SECRET = b"a secret of the issuer, of 48 bytes and some more"
COUNTED = {"limit": "1000000/30d", "algorithm": "fixed_window"}


def b64(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else data.encode()).rstrip(b"=").decode()


def token(payload, header=None, secret=SECRET):
    def text(part):
        return part if isinstance(part, str) else json.dumps(part)
    head = b64(text(header if header is not None else {"alg": "HS256"})) + "." + b64(text(payload))
    return head + "." + b64(hmac.new(secret, head.encode(), hashlib.sha256).digest())


def claims(**more):
    return {"sub": "victim", "iss": "https://id.example", "aud": "api", "exp": time.time() + 600, **more}


def _weir(t, jwt=None, **policy):
    folder = t.folder("keys")
    path = os.path.join(folder, "secret")
    with open(path, "wb") as f:
        f.write(SECRET + b"\n")   # the line end is not part of it
    identity = {"jwt": {"secret_file": path, "algorithms": ["HS256"], "issuer": "https://id.example", "audience": "api",
                        **(jwt or {})}, "user": [{"claim": "sub"}], **policy.pop("identity", {})}
    u = t.upstream()
    return t.weir({"upstreams": {"app": {"url": u.url}}, "workers": 1, "identity": identity, **policy}), u, path


def _bearer(text):
    return {"Authorization": f"Bearer {text}"}


def _left(response):
    found = re.search(r'"per-user";r=(\d+)', response.header("RateLimit") or "")
    return int(found[1]) if found else None


def _attacks():
    good = token(claims())
    head, body, signature = good.split(".")
    public = '{"kty":"RSA","n":"AQAB","e":"AQAB"}'
    without_exp = {k: v for k, v in claims().items() if k != "exp"}
    deep = '{"sub":"victim","exp":9999999999,"x":' + "[" * 17 + "]" * 17 + "}"
    other = b64(json.dumps(claims(sub="victim", role="admin")))
    return {
        "none": b64('{"alg":"none"}') + f".{body}.",
        "none, signed": token(claims(), {"alg": "none"}),
        "None": token(claims(), {"alg": "None"}),
        "nOnE": token(claims(), {"alg": "nOnE"}),
        "no alg": token(claims(), {}),
        "hs256": token(claims(), {"alg": "hs256"}),
        "HS512 by name": token(claims(), {"alg": "HS512"}),
        "RS256 by name": token(claims(), {"alg": "RS256"}),
        "signed with a public key": token(claims(), secret=public.encode()),
        "signed with nothing": token(claims(), secret=b""),
        "signed by somebody": token(claims(), secret=b"x" * 48),
        "jwk": token(claims(), {"alg": "HS256", "jwk": {"kty": "oct", "k": b64(b"x" * 48)}}, b"x" * 48),
        "jku": token(claims(), {"alg": "HS256", "jku": "http://127.0.0.1:1/"}, b"x" * 48),
        "x5u": token(claims(), {"alg": "HS256", "x5u": "http://127.0.0.1:1/"}, b"x" * 48),
        "kid with a path": token(claims(), {"alg": "HS256", "kid": "/dev/null"}, b""),
        "kid a number": token(claims(), {"alg": "HS256", "kid": 7}),
        "crit": token(claims(), {"alg": "HS256", "crit": ["b64"], "b64": False}),
        "another payload": f"{head}.{other}.{signature}",
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "four parts": f"{good}.{signature}",
        "padding": good + "=",
        "the standard alphabet": f"{head}.{body}.{signature[:-2]}+/",
        "white space": f"{head}.{body} .{signature}",
        "cut": good[:-1],
        "expired": token(claims(exp=time.time() - 31)),
        "expired long ago": token(claims(exp=1)),
        "exp a text": token(claims(exp=str(time.time() + 600))),
        "exp negative": token(claims(exp=-1)),
        "exp null": token(claims(exp=None)),
        "exp missing": token(without_exp),
        "not yet": token(claims(nbf=time.time() + 120)),
        "nbf a text": token(claims(nbf="0")),
        "another issuer": token(claims(iss="https://id.example.evil")),
        "no issuer": token({k: v for k, v in claims().items() if k != "iss"}),
        "another audience": token(claims(aud="web")),
        "audiences, none of them": token(claims(aud=["web", "API"])),
        "sub twice": token('{"sub":"mallory","sub":"victim","iss":"https://id.example","aud":"api","exp":9999999999}'),
        "sub with NUL": token(claims(sub="victim\0")),
        "sub empty": token(claims(sub="")),
        "sub a number": token(claims(sub=1)),
        "sub a list": token(claims(sub=["victim"])),
        "deep": token(deep),
        "too long": token(claims(filler="x" * 8192)),
        "a list": token("[]"),
        "no JSON": token("victim"),
    }


def an_unverified_sub_never_charges_a_victim(t):
    weir, u, _ = _weir(t, rules=[{"name": "per-user", "key": ["user"], "missing": "skip", **COUNTED}])
    attacks = _attacks()
    assert len(attacks) >= 36
    victim = _bearer(token(claims()))
    with weir.connect() as c:
        left = _left(c.request(fields=victim))
        for what, attack in attacks.items():
            forged = c.request(fields=_bearer(attack))
            equal((forged.status, _left(forged)), (200, None), what)   # nobody is charged: the rule does not apply
            left -= 1
            equal(_left(c.request(fields=victim)), left, what)
    t.note(f"{len(attacks)} attacks")
    records = weir.records(1 + 2 * len(attacks))
    equal(len({r.get("user_hash") for r in records}), 2)   # the victim's, and none
    equal(len(u.requests), 1 + 2 * len(attacks))


def a_route_that_requires_a_user_answers_401(t):
    weir, u, _ = _weir(t, routes=[{"name": "me", "match": {"path": "/me"}, "upstream": "app", "require_user": True},
                                  {"name": "rest", "match": {"path": "/**"}, "upstream": "app"}],
                       rules=[{"name": "per-ip", "key": ["client_ip"], "limit": "1/30d", "algorithm": "fixed_window"}])
    with weir.connect() as c:
        r = c.request(target="/me")
        envelope(r, 401, "unauthenticated", close=False)
        equal(r.header("WWW-Authenticate"), "Bearer")
        for what, attack in _attacks().items():
            envelope(c.request(target="/me", fields=_bearer(attack)), 401, "unauthenticated", close=False)
        equal(c.request(target="/me", fields=_bearer(token(claims()))).status, 200)   # nothing was charged before
        equal(c.request(target="/").status, 429)
    equal(len(u.requests), 1)
    reasons = {r["reason"] for r in weir.records(len(_attacks()) + 3) if r["status"] == 401}
    equal(reasons, {"unauthenticated", "token_malformed", "token_algorithm", "token_signature", "token_expired",
                    "token_not_yet", "token_issuer", "token_audience", "token_claims"})


def claims_and_tiers_are_keys_and_choose_routes(t):
    folder = t.folder("tiers")
    with open(os.path.join(folder, "tiers.csv"), "w") as f:
        f.write("alice,gold\nbob,silver\n")
    weir, u, _ = _weir(t, identity={"tier": [{"file": os.path.join(folder, "tiers.csv"), "by": "user"}, {"claim": "plan"},
                                             {"header": "X-Tier"}, {"constant": "free"}]},
                       routes=[{"name": "fast", "match": {"tier": ["gold", "paid"]}, "upstream": "app"},
                               {"name": "slow", "match": {"not": {"user": "mallory"}}, "upstream": "app"}],
                       rules=[{"name": "per-org", "key": ["claim:org"], "missing": "skip", "limit": "2/day"},
                              {"name": "per-tier", "key": ["tier"], "limit": "1000/day"}])
    who = [claims(sub="alice", org=7), claims(sub="bob", org="7"), claims(sub="carol", plan="paid"), claims(sub="mallory"),
           claims(sub="dave", plan=True)]
    with weir.connect() as c:
        statuses = [c.request(fields=_bearer(token(p))).status for p in who]
        equal(statuses, [200, 200, 200, 404, 200])
        equal(c.request(fields=_bearer(token(claims(sub="erin", org=7)))).status, 429)   # 7 and "7" are one value
        equal(c.request(fields={"X-Tier": "gold"}).status, 200)   # from an untrusted peer it counts for nothing
    equal([r["route"] for r in weir.records(7)], ["fast", "slow", "fast", "_none", "slow", "slow", "slow"])


def a_reload_forgets_what_the_old_key_verified(t):
    weir, _, path = _weir(t, rules=[{"name": "per-user", "key": ["user"], "missing": "deny", **COUNTED}])
    old = _bearer(token(claims()))
    equal([weir.get("/", old).status for _ in range(3)], [200] * 3)
    with open(path, "wb") as f:
        f.write(b"n" * 48)
    weir.reload()
    equal(weir.get("/", old).status, 401)
    equal(weir.get("/", _bearer(token(claims(), secret=b"n" * 48))).status, 200)


def a_token_that_was_remembered_still_expires(t):
    weir, _, _ = _weir(t, jwt={"leeway": "0s"}, rules=[{"name": "per-user", "key": ["user"], "missing": "deny", **COUNTED}])
    short = _bearer(token(claims(exp=time.time() + 1.5)))
    equal(weir.get("/", short).status, 200)
    wait_until("the token expires", lambda: weir.get("/", short).status == 401)


def a_key_in_the_query_names_a_user_and_stays_out_of_the_log(t):
    weir, u, _ = _weir(t, identity={"user": [{"query": "api_key"}]},
                       rules=[{"name": "per-user", "key": ["user"], "missing": "skip", "limit": "2/day"}])
    for target in ("/x?a=1&api_key=tiger&b=2", "/x?api%5Fkey=t%69ger"):
        equal(weir.get(target).status, 200)
    equal(weir.get("/x?api_key=tiger").status, 429)
    equal([r["query"] for r in weir.records(3)],
          ["a=1&api_key=[redacted]&b=2", "api%5Fkey=[redacted]", "api_key=[redacted]"])
    equal(u.requests[0].target, "/x?a=1&api_key=tiger&b=2")
