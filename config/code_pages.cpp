// SPDX-License-Identifier: Apache-2.0
#include "config/code_pages.hpp"

#include "config/codes.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace weir::config {
namespace {

constexpr std::array pages{
    code_page{"E0101", "The reader of YAML stopped here. Indentation is the usual cause.",
              "limits:\n  body_size: 1MiB\n - header_count: 50\n",
              "limits:\n  body_size: 1MiB\n  header_count: 50\n"},
    code_page{"E0102", "Readers of YAML disagree about which of the two counts, so neither does.",
              "workers: 1\nworkers: 2\n", "workers: 2\n"},
    code_page{"E0103", "Everything behind the open quote would silently become one text.", "via: 'edge\n",
              "via: 'edge'\n"},
    code_page{"E0104", "The message names the line where the bracket was opened.",
              "client_ip: {trusted_proxies: [10.0.0.0/8\n", "client_ip: {trusted_proxies: [10.0.0.0/8]}\n"},
    code_page{"E0105",
              "0123 is 83 or 123, and 1_000 is 1000 or text, by reader. Plain decimals are one thing.",
              "workers: 0x2\n", "workers: 2\n"},
    code_page{"E0106", "yes, no, on and off are booleans to some readers of YAML and text to others.",
              "store: {pool: {pre_ping: yes}}\n", "store: {pool: {pre_ping: true}}\n"},
    code_page{"E0107", "A merge key hides which of two values counts. Write the keys out.",
              "x-base: &base {body_size: 1MiB}\nlimits: {<<: *base}\n", "limits: {body_size: 1MiB}\n"},
    code_page{"E0108", "A tag changes what a value is without a trace in the value.", "workers: !!int 2\n",
              "workers: 2\n"},
    code_page{"E0109", "Only the first document would count.", "workers: 2\n---\nvia: edge\n",
              "workers: 2\nvia: edge\n"},
    code_page{"E0110", "A tab has no width that readers of YAML agree about. Use spaces.", "workers:\t2\n",
              "workers: 2\n"},
    code_page{"E0111", "Keys are words.", "1: 2\n", "workers: 2\n"},
    code_page{"E0112", "Such a byte is invisible in an editor and in a log. Remove it.", "", ""},
    code_page{"E0113", "Save the file as UTF-8.", "", ""},
    code_page{"E0114", "A policy file is written by people. Long lists go into files of their own.", "", ""},
    code_page{"E0115", "No key of the format lies so deep.", "", ""},
    code_page{"E0116",
              "Anchors belong under top-level keys that begin with `x-`, where nothing else reads them.",
              "workers: &two 2\nvia: *two\n", "x-two: &two 2\nworkers: *two\n"},
    code_page{"E0201", "Set the variable, or give a default behind `:-`.", "via: ${WEIR_HELP_UNSET}\n",
              "via: ${WEIR_HELP_UNSET:-edge}\n"},
    code_page{"E0202", "`${NAME}` stands for a variable and `$$` for a dollar; a dollar alone is neither.",
              "via: $EDGE\n", "via: ${EDGE:-edge}\n"},
    code_page{"E0203",
              "A unit is never guessed: durations are `250ms 5s 1m`, sizes `64KiB 1MiB`, rates `100/minute`.",
              "limits: {body_size: 64K}\n", "limits: {body_size: 64KiB}\n"},
    code_page{"E0204", "The message names the range.", "workers: 257\n", "workers: 256\n"},
    code_page{"E0205", "The message names what is expected.", "workers: two\n", "workers: 2\n"},
    code_page{"E0206", "The message lists the words.", "log: {level: warning}\n", "log: {level: warn}\n"},
    code_page{"E0207",
              "Decisions are integers below 2^53, so that Redis and weir agree to the last unit. The message "
              "names the nearest quota that fits.",
              "rules: [{name: r, key: [client_ip], limit: 1000003/day, burst: 1000000}]\n",
              "rules: [{name: r, key: [client_ip], limit: 1000000/day, burst: 1000000}]\n"},
    code_page{"E0208", "Such a request could never be admitted.",
              "rules: [{name: r, key: [client_ip], limit: 10/minute, cost: 11}]\n",
              "rules: [{name: r, key: [client_ip], limit: 11/minute, cost: 11}]\n"},
    code_page{"E0209", "An address to listen on is numeric, so that it means one thing on every machine.",
              "listen: localhost:8080\n", "listen: 127.0.0.1:8080\n"},
    code_page{"E0210", "`http://HOST[:PORT]` or `unix:PATH`, without a path: the path is the client's.",
              "upstreams: {web: {url: \"http://127.0.0.1:3000/api\"}}\n",
              "upstreams: {web: {url: \"http://127.0.0.1:3000\"}}\n"},
    code_page{"E0211",
              "Names are metric labels: `a`-`z`, digits and `-`, at most 64, beginning with a letter.",
              "rules: [{name: Per IP, key: [client_ip], limit: 10/minute}]\n",
              "rules: [{name: per-ip, key: [client_ip], limit: 10/minute}]\n"},
    code_page{"E0212", "Bits behind the prefix are mostly a mistyped address.",
              "client_ip: {trusted_proxies: [10.0.0.1/8]}\n", "client_ip: {trusted_proxies: [10.0.0.0/8]}\n"},
    code_page{"E0213",
              "`**` stands last and alone in its segment; methods are upper case; hosts have no port.",
              "routes: [{name: a, match: {path: \"/a/**/b\"}, upstream: web}]\n",
              "routes: [{name: a, match: {path: \"/a/**\"}, upstream: web}]\n"},
    code_page{"E0214", "A selector names where a value of the request comes from. The message lists them.",
              "rules: [{name: r, key: [ip], limit: 10/minute}]\n",
              "rules: [{name: r, key: [client_ip], limit: 10/minute}]\n"},
    code_page{"E0215", "Names are those of the machine's zone data.",
              "rules: [{name: r, key: [client_ip], limit: 5/day, algorithm: fixed_window, timezone: "
              "Europe/Berln}]\n",
              "rules: [{name: r, key: [client_ip], limit: 5/day, algorithm: fixed_window, timezone: UTC}]\n"},
    code_page{"E0216", "An instant of RFC 3339: date, time and the distance from UTC, `Z` or `+02:00`.",
              "rules: [{name: r, key: [client_ip], limit: 1/second, overrides: [{client_ip: 192.0.2.1, "
              "limit: 9/second, "
              "until: \"2027-01-31\", reason: test}]}]\n",
              "rules: [{name: r, key: [client_ip], limit: 1/second, overrides: [{client_ip: 192.0.2.1, "
              "limit: 9/second, "
              "until: \"2099-01-31T00:00:00Z\", reason: test}]}]\n"},
    code_page{"E0301", "The message says which of the three is expected.", "limits: 5\n",
              "limits: {header_count: 50}\n"},
    code_page{"E0302", "What is not written has no effect; for this key there is no safe default.",
              "rules: [{name: r, key: [client_ip]}]\n",
              "rules: [{name: r, key: [client_ip], limit: 10/minute}]\n"},
    code_page{"E0303", "The message names the bounds.", "listen: []\n", "listen: [127.0.0.1:8080]\n"},
    code_page{"E0304", "Both say the same thing differently, or one makes the other void.",
              "rules: [{name: r, key: [client_ip], limit: 5/day, algorithm: sliding_window_log, burst: 5}]\n",
              "rules: [{name: r, key: [client_ip], limit: 5/day, burst: 5}]\n"},
    code_page{
        "E0305",
        "Requests without a user would share one count, or pass unlimited. `skip` does not apply the rule, "
        "`deny` answers 401, `fallback` counts by other selectors.",
        "rules: [{name: r, key: [user], limit: 10/minute}]\n",
        "rules: [{name: r, key: [user], missing: skip, limit: 10/minute}]\n"},
    code_page{"E0306",
              "The admin port has no password. `admin.scrape_address` is read-only and may be public.",
              "admin: 0.0.0.0:9901\n", "admin: {address: 127.0.0.1:9901, scrape_address: 0.0.0.0:9902}\n"},
    code_page{"E0307", "This release reads version 1.",
              "version: 2\nupstreams: {web: {url: \"http://127.0.0.1:3000\"}}\n",
              "version: 1\nupstreams: {web: {url: \"http://127.0.0.1:3000\"}}\n"},
    code_page{"E0308", "Both count from SIGTERM: requests would be cut before the listeners close.",
              "drain: {delay: 30s}\n", "drain: {delay: 30s, timeout: 60s}\n"},
    code_page{"E0309", "A repeated POST may order twice. It is retried only when no byte of it was written.",
              "upstreams: {web: {url: \"http://127.0.0.1:3000\", retry: {methods: [GET, POST]}}}\n",
              "upstreams: {web: {url: \"http://127.0.0.1:3000\", retry: {methods: [GET]}}}\n"},
    code_page{"E0310", "With several upstreams, routes say what goes where.",
              "upstreams: {a: {url: \"http://127.0.0.1:3000\"}, b: {url: \"http://127.0.0.1:3001\"}}\n",
              "upstreams: {a: {url: \"http://127.0.0.1:3000\"}, b: {url: \"http://127.0.0.1:3001\"}}\n"
              "routes: [{name: api, match: {path: \"/api/**\"}, upstream: a}, {name: rest, match: {}, "
              "upstream: b}]\n"},
    code_page{"E0312", "A misspelt key would leave its limit out without a word.",
              "rules: [{name: r, key: [client_ip], limit: 10/minute, brust: 20}]\n",
              "rules: [{name: r, key: [client_ip], limit: 10/minute, burst: 20}]\n"},
    code_page{"E0401", "The message suggests the nearest name.",
              "routes: [{name: all, match: {}, upstream: wbe}]\n",
              "routes: [{name: all, match: {}, upstream: web}]\n"},
    code_page{"E0402", "The message suggests the nearest name.",
              "rules: [{name: r, match: {route: al}, key: [client_ip], limit: 10/minute}]\n",
              "rules: [{name: r, match: {route: all}, key: [client_ip], limit: 10/minute}]\n"},
    code_page{
        "E0403", "Names tell rules, routes and listeners apart in logs and metrics.",
        "rules: [{name: r, key: [client_ip], limit: 1/second}, {name: r, key: [host], limit: 9/second}]\n",
        "rules: [{name: r, key: [client_ip], limit: 1/second}, {name: s, key: [host], limit: 9/second}]\n"},
    code_page{"E0404",
              "The store tells rules of one key apart by 24 bits of their names. Rename one of the two.", "",
              ""},
    code_page{"E0405", "A response would carry the same field twice.",
              "deny: {headers: [ratelimit, ratelimit-11]}\n", "deny: {headers: [ratelimit]}\n"},
    code_page{"E0406", "The running process keeps its file. Restart it to change this.", "", ""},
    code_page{"E0407", "Without that segment the rule would never apply.",
              "rules: [{name: r, key: [\"path_param:id\"], missing: skip, limit: 10/minute}]\n",
              "routes: [{name: a, match: {path: \"/a/{id}\"}, upstream: web}]\n"
              "rules: [{name: r, key: [\"path_param:id\"], missing: skip, limit: 10/minute}]\n"},
    code_page{"E0408",
              "A test speaks about rules and limits of its file. The message suggests the nearest name.",
              "rules: [{name: per-ip, key: [client_ip], limit: 1/minute}]\n"
              "tests: [{name: t, send: {times: 2}, expect: {denied_by: pre-ip}}]\n",
              "rules: [{name: per-ip, key: [client_ip], limit: 1/minute}]\n"
              "tests: [{name: t, send: {times: 2}, expect: {denied_by: per-ip}}]\n"},
    code_page{"E0501", "Files are relative to the policy file.", "hash_key_file: no/such/file\n", ""},
    code_page{"E0502", "The message says what the file should hold.", "hash_key_file: /dev/null\n", ""},
    code_page{
        "W0107",
        "A bucket that was idle gives its burst at once and refills meanwhile. For exactly the limit in any "
        "period use `algorithm: sliding_window_log`.",
        "rules: [{name: r, key: [client_ip], limit: 100/minute}]\n",
        "rules: [{name: r, key: [client_ip], limit: 100/minute, algorithm: sliding_window_log}]\n"},
    code_page{"W0108", "Shares of less than one unit cannot be handed out.",
              "store: {url: \"redis://h\", replicas: 20}\n"
              "rules: [{name: r, key: [client_ip], limit: 10/minute, sharing: balanced}]\n",
              "store: {url: \"redis://h\", replicas: 20}\n"
              "rules: [{name: r, key: [client_ip], limit: 10/minute}]\n"},
    code_page{"W0110", "Nothing is limited.", "workers: 2\n",
              "rules: [{name: r, key: [client_ip], limit: 10/minute}]\n"},
    code_page{"W0111", "It changes nothing any more; what it was for is in its `reason`.",
              "rules: [{name: r, key: [client_ip], limit: 1/second, overrides: [{client_ip: 192.0.2.1, "
              "limit: 9/second, "
              "until: \"2020-01-31T00:00:00Z\", reason: test}]}]\n",
              "rules: [{name: r, key: [client_ip], limit: 1/second}]\n"},
    code_page{"W0112",
              "Units that a process has leased could be spent by a key that another one has blocked.",
              "rules: [{name: r, key: [client_ip], limit: 100/second, penalty: 5m, sharing: balanced}]\n",
              "rules: [{name: r, key: [client_ip], limit: 100/second, penalty: 5m}]\n"},
    code_page{"W0203", "Behind a load balancer every client has its address, and all share one count.",
              "rules: [{name: r, key: [client_ip], limit: 10/minute}]\n",
              "client_ip: {trusted_proxies: [10.0.0.0/8]}\n"
              "rules: [{name: r, key: [client_ip], limit: 10/minute}]\n"},
    code_page{"W0204",
              "Who sends another name with every request is never limited. Count by address beside it.",
              "identity: {user: [{header: X-User}]}\n"
              "rules: [{name: r, key: [user], missing: skip, limit: 10/minute}]\n",
              "identity: {user: [{header: X-User}]}\n"
              "rules:\n"
              "  - {name: r, key: [user], missing: skip, limit: 10/minute}\n"
              "  - {name: backstop, key: [client_ip], limit: 100/minute}\n"},
    code_page{
        "W0205",
        "Whoever sends a token names any user, and spends that user's limit. Only behind something that has\n"
        "verified every token. Otherwise give `jwks_file` or `secret_file`, and `algorithms`.",
        "identity: {jwt: {unverified: true}, user: [{claim: sub}]}\n", ""},
    code_page{"W0206", "Without a source no request has a user.",
              "rules: [{name: r, key: [user], missing: skip, limit: 10/minute}]\n",
              "identity: {user: [{header: X-User}]}\n"
              "rules: [{name: r, key: [user], missing: skip, limit: 10/minute}]\n"},
    code_page{"W0207", "A token names a user or a key by its claims alone.",
              "identity: {jwt: {unverified: true}}\n",
              "identity: {jwt: {unverified: true}, user: [{claim: sub}]}\n"},
    code_page{"W0301", "Whoever probes takes a 429 for a failure and restarts what is merely busy.",
              "upstreams: {web: {url: \"http://h\", health_check: {path: /healthz}}}\n"
              "rules: [{name: r, key: [client_ip], limit: 10/minute}]\n",
              "upstreams: {web: {url: \"http://h\", health_check: {path: /healthz}}}\n"
              "rules: [{name: r, key: [client_ip], limit: 10/minute}]\n"
              "exempt: [{match: {path: /healthz}, reason: probes}]\n"},
    code_page{
        "W0401",
        "What was counted belongs to the rule's name, its algorithm and the selectors of its key. Under\n"
        "others nothing is found, so every client has a fresh allowance at once. A new limit, burst, cost\n"
        "or tier keeps it.",
        "", ""},
    code_page{"W0208", "Who has which tier is said by `identity.tier`; the limit would never apply.",
              "rules: [{name: r, key: [client_ip], limit: 10/minute, tiers: {pro: 20/minute}}]\n",
              "identity: {tier: [{header: X-Tier}, {constant: free}]}\n"
              "rules: [{name: r, key: [client_ip], limit: 10/minute, tiers: {pro: 20/minute}}]\n"},
    code_page{"W0501", "N replicas admit N times the limit. Point `store.url` at a Redis they share.", "",
              ""},
    code_page{"W0601", "Its requests, with whatever they carry, go to whoever answers at the address.",
              "upstreams: {web: {url: \"https://10.0.0.1\", tls: {verify: false}}}\n",
              "upstreams: {web: {url: \"https://10.0.0.1\", tls: {server_name: api.internal}}}\n"},
};

std::string indented(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    out += fmt::format("    {}\n", line);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return out;
}

bool has_key(std::string_view text, std::string_view key) {
  return text.starts_with(key) || text.find(fmt::format("\n{}", key)) != std::string_view::npos;
}

}  // namespace

std::span<const code_page> all_code_pages() noexcept {
  return pages;
}

std::string code_help(std::string_view code) {
  const auto page = std::find_if(pages.begin(), pages.end(), [&](const auto& p) { return p.code == code; });
  if (page == pages.end()) return {};
  std::string out = fmt::format("{}: {}\n\n{}\n", code, explain_code(code), page->reason);
  const bool advice = code.starts_with('W');
  if (!page->mistake.empty()) {
    out += fmt::format("\n{}:\n{}", advice ? "Provoked by" : "Refused", indented(page->mistake));
  }
  if (!page->remedy.empty())
    out += fmt::format("\n{}:\n{}", advice ? "Instead" : "Accepted", indented(page->remedy));
  return out;
}

std::string as_whole_file(std::string_view excerpt) {
  std::string head;
  if (!has_key(excerpt, "version:")) head += "version: 1\n";
  if (!has_key(excerpt, "upstreams:")) head += "upstreams: {web: {url: \"http://127.0.0.1:3000\"}}\n";
  return head + std::string{excerpt};
}

}  // namespace weir::config
