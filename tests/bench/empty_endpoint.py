"""The minimum cost of a JSON answer: an endpoint without content, on the same Starlette and uvicorn."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def answer_ok(request: Request) -> JSONResponse:
    del request
    return JSONResponse({"result": 1})


app = Starlette(routes=[Route("/wallet", answer_ok, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False, ws="none", lifespan="off")
