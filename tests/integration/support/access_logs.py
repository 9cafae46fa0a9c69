# SPDX-License-Identifier: Apache-2.0
"""Access logs made of requests, in every format that `weir replay` reads, and what a policy does to them by the
definitions of its algorithms."""

import collections
import datetime
import heapq
import json
import random

START_MS = 1_795_860_000_000    # 2026-11-28T10:00:00Z


class Logged:
    """One request: when it ended (ms), how long it took (us), and the rest."""

    def __init__(self, end_ms, client, target="/", method="GET", status=200, duration_us=0, size=0, user=None, route="all",
                 host="www.example"):
        self.end_ms, self.client, self.target, self.method = end_ms, client, target, method
        self.status, self.duration_us, self.size = status, duration_us, size
        self.user, self.route, self.host = user, route, host

    @property
    def when(self):
        return datetime.datetime.fromtimestamp(self.end_ms / 1000, datetime.timezone.utc)

    @property
    def rfc3339(self):
        return self.when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.end_ms % 1000:03d}Z"

    @property
    def arrival_us(self):
        """As a replay sees it: a log of milliseconds rounds up."""
        return -(-(self.end_ms * 1000 - self.duration_us) // 1000) * 1000


def weir(r):
    path, _, query = r.target.partition("?")
    line = {"ts": r.rfc3339, "request_id": "1f", "client_ip": r.client, "user_hash": r.user, "method": r.method,
            "path": path, "query": query or None, "host": r.host, "route": r.route, "status": r.status,
            "decision": "allow", "duration_ms": r.duration_us / 1000, "bytes_in": 0, "bytes_out": r.size}
    return json.dumps({k: v for k, v in line.items() if v is not None}, separators=(",", ":"))


def combined(r):
    return (f'{r.client} - - [{r.when.strftime("%d/%b/%Y:%H:%M:%S +0000")}] "{r.method} {r.target} HTTP/1.1" {r.status} '
            f'{r.size} "-" "curl/8.1"')


def clf(r):
    return combined(r) + f' "allow" "-" {r.duration_us / 1000:.3f} "1f"'


def envoy(r):
    start = r.end_ms - r.duration_us // 1000
    begun = datetime.datetime.fromtimestamp(start / 1000, datetime.timezone.utc)
    return json.dumps({"start_time": begun.strftime("%Y-%m-%dT%H:%M:%S.") + f"{start % 1000:03d}Z", "method": r.method,
                       "path": r.target, "protocol": "HTTP/1.1", "response_code": r.status, "response_flags": "-",
                       "bytes_received": 0, "bytes_sent": r.size, "duration": r.duration_us // 1000,
                       "x_forwarded_for": None, "downstream_remote_address": f"{r.client}:4711",
                       "authority": r.host, "upstream_host": "10.0.0.1:80"})


def caddy(r):
    return json.dumps({"level": "info", "ts": r.end_ms / 1000, "logger": "http.log.access", "msg": "handled request",
                       "request": {"remote_ip": "10.0.0.9", "client_ip": r.client, "proto": "HTTP/2.0",
                                   "method": r.method, "host": r.host, "uri": r.target,
                                   "headers": {"User-Agent": ["curl/8.1"]}},
                       "bytes_read": 0, "duration": r.duration_us / 1e6, "size": r.size, "status": r.status})


def ecs(r):
    path, _, query = r.target.partition("?")
    return json.dumps({"@timestamp": r.rfc3339, "client": {"ip": r.client}, "event": {"duration": r.duration_us * 1000},
                       "http": {"request": {"method": r.method, "bytes": 0},
                                "response": {"status_code": r.status, "bytes": r.size}},
                       "url": {"path": path, "query": query, "domain": r.host}})


BALANCER_FORMAT = ('$type $time_iso8601 $elb $remote_addr:$remote_port $_ $_ $_ $_ $status $_ $_ $bytes_out "$request" '
                   '"$http_user_agent" $rest')


def balancer(r):
    return (f"http {r.rfc3339} app/lb/50dc {r.client}:2817 10.0.0.1:80 0.000 0.001 0.000 {r.status} {r.status} 34 {r.size} "
            f'"{r.method} http://{r.host}:80{r.target} HTTP/1.1" "curl/8.1" - - arn:x')


FORMATS = {"weir": weir, "combined": combined, "clf": clf, "envoy": envoy, "caddy": caddy, "ecs": ecs}


def traffic(count, seed=1):
    """`count` requests in the order of their ends: clients of very different zeal, users, failures, slow ones."""
    rnd = random.Random(seed)
    end, requests = START_MS, []
    for _ in range(count):
        end += rnd.choice((0, 0, 1, 2, 3, 5))
        zeal = int(rnd.expovariate(1 / 40))
        target, route = rnd.choice((("/v1/items?page=2", "items"), ("/v1/items/7", "items"), ("/login", "login"),
                                    ("/index.html", "rest"), ("/img/a.png", "rest"), ("/healthz", "rest")))
        requests.append(Logged(end, f"203.0.{zeal // 200}.{zeal % 200}", target=target,
                               method="POST" if route == "login" else "GET",
                               status=rnd.choice((200, 200, 204, 401, 401, 502)) if route == "login" else 200,
                               duration_us=rnd.choice((350, 1250, 8000, 90_000, 400_000)), size=rnd.randrange(30_000),
                               user=f"{rnd.randrange(400):016x}" if rnd.random() < 0.5 else None, route=route))
    return requests


# ---- the model: levels and lists instead of the product's formulas, integers throughout

class Bucket:
    """The level times the period: it rises by the limit each microsecond, and a unit takes a period."""

    def __init__(self, limit, period_us, burst):
        self.limit, self.unit, self.full = limit, period_us, burst * period_us
        self.level, self.at = self.full, 0

    def move(self, t):
        self.level, self.at = min(self.full, self.level + (t - self.at) * self.limit), t

    def fits(self, n, t):
        self.move(t)
        return n * self.unit <= self.level

    def take(self, n, t):
        self.level -= n * self.unit

    def give_back(self, n, t, _charged):
        self.move(t)
        self.level = min(self.full, self.level + n * self.unit)

    def take_up_to(self, n, t):
        self.move(t)
        self.level -= min(n, self.level // self.unit) * self.unit


class Log:
    def __init__(self, limit, window_us, _):
        self.limit, self.window, self.units = limit, window_us, collections.deque()

    def fits(self, n, t):
        while self.units and self.units[0] <= t - self.window:
            self.units.popleft()
        return len(self.units) + n <= self.limit

    def take(self, n, t):
        self.units.extend([t] * n)


class Fixed:
    def __init__(self, limit, window_us, _):
        self.limit, self.window, self.start, self.used = limit, window_us, None, 0

    def move(self, t):
        start = t // self.window * self.window
        if start != self.start:
            self.start, self.used = start, 0

    def fits(self, n, t):
        self.move(t)
        return self.used + n <= self.limit

    def take(self, n, t):
        self.used += n


class Counter:
    """The window before weighs as much as the one that slides still covers of it."""

    def __init__(self, limit, window_us, _):
        self.limit, self.window, self.start, self.now, self.before = limit, window_us, 0, 0, 0

    def move(self, t):
        start = t // self.window * self.window
        if start == self.start + self.window:
            self.start, self.before, self.now = start, self.now, 0
        elif start != self.start:
            self.start, self.before, self.now = start, 0, 0

    def fits(self, n, t):
        self.move(t)
        return self.before * (self.window - (t - self.start)) <= (self.limit - self.now - n) * self.window

    def take(self, n, t):
        self.now += n

    def give_back(self, n, t, charged):
        self.move(t)
        if charged >= self.start:
            self.now = max(0, self.now - n)


class Rule:
    """`key(request)`: its bucket, None: the rule is not applied. `final(request, cost)`: what stays charged."""

    def __init__(self, name, make, limit, period_s, key, burst=None, cost=1, final=None):
        self.name, self.key, self.cost, self.final = name, key, cost, final
        self.make = lambda: make(limit, period_s * 1_000_000, burst or limit)
        self.buckets = {}

    def bucket(self, request):
        key = self.key(request)
        if key is None:
            return None
        if key not in self.buckets:
            self.buckets[key] = self.make()
        return self.buckets[key]


def judge(requests, rules, skips=lambda request: None):
    """(line, decision, names of the rules that would deny) of every request, in the order of arrival."""
    unsettled = []
    order = sorted(range(len(requests)), key=lambda i: (requests[i].arrival_us, i))
    for i in order:
        request, t = requests[i], requests[i].arrival_us
        while unsettled and unsettled[0][0] <= t:
            end, _, charged, charges = heapq.heappop(unsettled)
            for bucket, n in charges:
                if n > 0:
                    bucket.give_back(n, end, charged)
                else:
                    bucket.take_up_to(-n, end)
        skipped = skips(request)
        if skipped:
            yield i + 1, skipped, []
            continue
        asked = [(rule, bucket) for rule in rules if (bucket := rule.bucket(request)) is not None]
        over = [rule.name for rule, bucket in asked if not bucket.fits(rule.cost, t)]
        if over:
            yield i + 1, "deny", over
            continue
        owed = []
        for rule, bucket in asked:
            bucket.take(rule.cost, t)
            if rule.final and (back := rule.cost - rule.final(request, rule.cost)) != 0:
                owed.append((bucket, back))
        if owed:
            heapq.heappush(unsettled, (max(request.end_ms * 1000, t), i, t, owed))
        yield i + 1, "allow", []
