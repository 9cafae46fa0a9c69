# SPDX-License-Identifier: Apache-2.0
"""A session of `requests`, which keeps its connection. Usage: session.py BASE"""

import json
import sys

import requests

base = sys.argv[1]
out = {}
with requests.Session() as session:
    out["plain"] = all(session.get(f"{base}/{i}").text == f"/{i}" for i in range(20))
    out["unpacked"] = len(session.get(f"{base}/packed").content)
    out["cookies"] = session.cookies.get_dict()
    out["chunked"] = session.post(f"{base}/up", data=(b"%d," % i for i in range(5))).text
    out["head"] = session.head(f"{base}/head").headers["Content-Length"]
    out["few"] = [session.get(f"{base}/few").status_code for _ in range(2)]
print(json.dumps(out))
