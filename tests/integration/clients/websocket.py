# SPDX-License-Identifier: Apache-2.0
"""A server of `websockets` behind weir and its client in front. Usage: websocket.py SERVER_PORT WEIR_URL"""

import asyncio
import json
import os
import sys

import websockets


async def serve(socket, _path=None):
    await asyncio.wait_for(await socket.ping(b"hello"), 20)     # answered by the client
    await socket.send("ready")
    async for message in socket:
        await socket.send(message)


async def main(port, url):
    out = {}
    async with websockets.serve(serve, "127.0.0.1", port, max_size=64 << 20):
        async with websockets.connect(url + "/chat", max_size=64 << 20) as socket:
            out["server_ping"] = await socket.recv() == "ready"
            await socket.send("grüße")
            out["text"] = await socket.recv()
            frame = os.urandom(1 << 20)
            await socket.send([frame[:1000], frame[1000:500_000], frame[500_000:]])     # fragments
            out["big"] = await socket.recv() == frame
            for i in range(200):
                await socket.send(bytes(i * 50))
            out["many"] = [len(await socket.recv()) for _ in range(200)] == [i * 50 for i in range(200)]
            await socket.close(4000, "bye")
            out["close"] = [socket.close_code, socket.close_reason]
    print(json.dumps(out))

asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
