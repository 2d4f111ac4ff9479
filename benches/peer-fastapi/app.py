"""The service of `subject` made of FastAPI. `python app.py` is bare; `opentelemetry-instrument python app.py` is set up
as OpenTelemetry's guide for Python says, without code. It prints its port and serves until standard input ends.
"""

import socket
import sys
import threading

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/items/{id}")
async def item(id: int):
    return {"id": id, "name": "a small thing", "price": 1999}


def main() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(listener.getsockname()[1], flush=True)
    # A line for each request is nothing that the others print.
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning"))

    def end() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end, daemon=True).start()
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
