"""FastAPI and Starlette applications around real nodes, served by a real uvicorn: does a client read its own writes
wherever it goes, is a retry counted once, and is every error answered as it should be?"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI, Query, WebSocket
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

import gossamer
from gossamer import errors
from gossamer.integrations import starlette as for_starlette
from gossamer.integrations.fastapi import (
    NodeDep,
    OpId,
    ReadYourWrites,
    RequiredOpId,
    StoreDep,
    add_exception_handlers,
    client_lifespan,
    health_router,
    lifespan,
)
from gossamer.integrations.health import health
from gossamer.integrations.problems import ANSWERS, answer_to, problem_of

from ..rpc.proxy import Proxy
from ..rpc.standin import DEADLINE_S, FAST, free_port
from .serving import serving


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def shop(life: Any, timeout: float = DEADLINE_S) -> FastAPI:
    """An application that sells."""
    app = FastAPI(lifespan=life)
    app.add_middleware(ReadYourWrites, timeout=timeout)
    add_exception_handlers(app)
    app.include_router(health_router())

    @app.post("/sold")
    async def sell(store: StoreDep, op_id: OpId, n: Annotated[int, Query()] = 1) -> int:
        await store.counter("sold").aadd(n, op_id=op_id)
        return await store.counter("sold").avalue()

    @app.get("/sold")
    def sold(store: StoreDep) -> int:
        return store.counter("sold").value()

    @app.post("/strict")
    async def strict(node: NodeDep, op_id: RequiredOpId) -> str:
        await node.counter("sold").aadd(1, op_id=op_id)
        return op_id

    @app.post("/spend")
    def spend(node: NodeDep) -> None:
        node.bounded_counter("stock").spend(3)

    return app


def node_at(where: Path, **settings: Any) -> Any:
    return lifespan(where, **{"listen": "127.0.0.1:0", "name": where.name, "timing": FAST, **settings})


def instance(stack: ExitStack, life: Any, timeout: float = DEADLINE_S) -> httpx.Client:
    address = stack.enter_context(serving(shop(life, timeout)))
    return stack.enter_context(httpx.Client(base_url=address, timeout=DEADLINE_S))


def sent_back(answer: httpx.Response) -> dict[str, str]:
    return {"Gossamer-Token": answer.headers["Gossamer-Token"]}


def test_a_client_reads_its_writes_at_either_instance(stack: ExitStack, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    a = instance(stack, node_at(tmp_path / "a", listen=address))
    b = instance(stack, node_at(tmp_path / "b", peers=[address]))
    token: dict[str, str] = {}
    for n in range(1, 41):
        there, then = (a, b) if n % 2 else (b, a)
        token = sent_back(there.post("/sold", headers=token))
        answer = then.get("/sold", headers=token)
        assert answer.json() == n
        token = sent_back(answer)


def test_a_request_waits_for_what_its_client_has_seen(stack: ExitStack, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    proxy = stack.enter_context(Proxy(address))
    a = instance(stack, node_at(tmp_path / "a", listen=address))
    b = instance(stack, node_at(tmp_path / "b", peers=[proxy.address]))
    assert b.get("/sold", headers=sent_back(a.post("/sold"))).json() == 1
    proxy.swallow()
    token = sent_back(a.post("/sold"))
    assert b.get("/sold").json() == 1  # without the token it does not wait
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(b.get, "/sold", headers=token)
        proxy.forward()
        assert asked.result().json() == 2


def test_what_does_not_come_is_answered_with_503_and_what_is_missing(
    stack: ExitStack, tmp_path: Path
) -> None:
    a = instance(stack, node_at(tmp_path / "a"))
    alone = instance(stack, node_at(tmp_path / "alone"), timeout=0.0)
    answer = alone.post("/sold", headers=sent_back(a.post("/sold")))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == 503
    assert body["type"] == "urn:gossamer:error:WaitTimeout"
    assert "1 events" in body["detail"]
    assert alone.get("/sold").json() == 0  # the handler did not run


@pytest.mark.parametrize("token", ["default=nonsense", "default=" + "A" * 5000])
def test_a_token_that_is_none_is_the_callers_mistake(stack: ExitStack, tmp_path: Path, token: str) -> None:
    a = instance(stack, node_at(tmp_path / "a"))
    answer = a.get("/sold", headers={"Gossamer-Token": token})
    assert answer.status_code == 400
    assert answer.json()["status"] == 400
    assert a.get("/sold", headers={"Gossamer-Token": "other=thing, ,=,"}).status_code == 200


def test_a_retry_at_another_instance_counts_once(stack: ExitStack, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    a = instance(stack, node_at(tmp_path / "a", listen=address))
    b = instance(stack, node_at(tmp_path / "b", peers=[address]))
    key = {"Idempotency-Key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}
    token = sent_back(a.post("/sold", headers=key))
    again = b.post("/sold", headers=token | {"Idempotency-Key": key["Idempotency-Key"].strip('"')})
    assert again.json() == 1
    assert a.post("/sold", headers=sent_back(again) | {"Idempotency-Key": "another"}).json() == 2


def test_one_key_is_another_operation_at_another_path(stack: ExitStack, tmp_path: Path) -> None:
    a = instance(stack, node_at(tmp_path / "a"))
    key = {"Idempotency-Key": "k"}
    first = a.post("/strict", headers=key).json()
    assert a.post("/strict", headers=key).json() == first
    assert a.post("/sold", headers=key).json() == 2
    assert a.post("/sold", headers=key).json() == 2


@pytest.mark.parametrize("key", ["", '"', '""', "two words", '"open', "k" * 256, "\xe4"])
def test_a_key_that_is_none_is_the_callers_mistake(stack: ExitStack, tmp_path: Path, key: str) -> None:
    a = instance(stack, node_at(tmp_path / "a"))
    answer = a.post("/sold", headers=[(b"Idempotency-Key", key.encode("latin-1"))])
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["detail"]
    assert a.get("/sold").json() == 0


def test_a_key_may_be_demanded(stack: ExitStack, tmp_path: Path) -> None:
    a = instance(stack, node_at(tmp_path / "a"))
    assert a.post("/strict").status_code == 400
    assert a.get("/sold").json() == 0


def test_an_error_of_a_handler_is_a_problem(stack: ExitStack, tmp_path: Path) -> None:
    a = instance(stack, node_at(tmp_path / "a"))
    answer = a.post("/spend")
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() | {"detail": ""} == {
        "type": "urn:gossamer:error:InsufficientRights",
        "title": "Not that many are left here",
        "status": 409,
        "detail": "",
        "available": 0,
    }
    assert "Gossamer-Token" in answer.headers


def every_error() -> list[type[errors.GossamerError]]:
    def below(kind: type[errors.GossamerError]) -> list[type[errors.GossamerError]]:
        return [kind, *(deeper for sub in kind.__subclasses__() for deeper in below(sub))]

    return below(errors.GossamerError)


def test_every_error_has_an_answer() -> None:
    for kind in every_error():
        error = kind(b"12345678") if kind is errors.AnotherNode else kind("secret words")
        answer, response = answer_to(error), problem_of(error)
        assert response.status_code == answer.status
        assert ("Retry-After" in response.headers) == answer.retry
        assert (b"secret words" in bytes(response.body)) == (
            answer.tells and kind is not errors.AnotherNode
        ), kind


def test_what_the_service_did_wrong_is_not_told() -> None:
    assert all(not answer.tells for answer in ANSWERS.values() if answer.status in (500, 507))
    for kind in (
        errors.StoreFailed,
        errors.Damaged,
        errors.Quarantined,
        errors.SchemaMismatch,
        errors.Denied,
    ):
        assert answer_to(kind("x")).status == 500


def test_health(stack: ExitStack, tmp_path: Path) -> None:
    a = instance(stack, node_at(tmp_path / "a"))
    assert a.get("/livez").json() == {"live": True}
    answer = a.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "why_not": [], "name": "a", "catching_up": []}
    far = instance(stack, client_lifespan(f"127.0.0.1:{free_port()}", timeout=0.2))
    assert far.get("/livez").status_code == 200
    assert far.get("/readyz").status_code == 503
    assert far.get("/readyz").json() == {"ready": False, "why_not": ["Unreachable"]}


def test_an_instance_that_leaves_is_not_asked_any_more(tmp_path: Path) -> None:
    with (
        gossamer.open(tmp_path / "b", name="b", listen="127.0.0.1:0", timing=FAST) as b,
        gossamer.open(tmp_path / "a", name="a", peers=[str(b.address)], timing=FAST) as a,
    ):
        a.wait_for(b.token(), DEADLINE_S)
        a.counter("sold").add(1)
        a.wait_replicated(a.token(), 1, DEADLINE_S)
        a.leave(timeout=DEADLINE_S)
        with pytest.raises(errors.Leaving) as raised:
            a.counter("sold").add(1)
        assert answer_to(raised.value).status == 503
        is_ready, body = asyncio.run(health(a))
        assert not is_ready
        assert body["why_not"] == ["the node leaves the cluster"]


def test_workers_beside_one_node(stack: ExitStack, tmp_path: Path) -> None:
    node = stack.enter_context(gossamer.open(tmp_path / "n", listen="127.0.0.1:0", timing=FAST))
    one, two = (instance(stack, client_lifespan(str(node.address))) for _ in range(2))
    assert two.get("/sold", headers=sent_back(one.post("/sold"))).json() == 1
    with pytest.raises(httpx.HTTPStatusError):  # there is no node in it
        one.post("/strict", headers={"Idempotency-Key": "k"}).raise_for_status()


def test_the_applications_own_lifespan_goes_inside(tmp_path: Path) -> None:
    happened = []

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, int]]:
        app.state.gossamer.register("greeting").set("hello")
        yield {"number": 7}
        happened.append(app.state.gossamer.register("greeting").get())  # it is still open

    app = FastAPI(lifespan=lifespan(tmp_path / "a", then=own))

    @app.get("/")
    async def number(request: Request, node: NodeDep) -> tuple[int, Any]:
        return request.state.number, node.register("greeting").get()

    with TestClient(app) as client:
        assert client.get("/").json() == [7, "hello"]
        node = app.state.gossamer
    assert happened == ["hello"]
    with pytest.raises(gossamer.Closed):
        node.register("greeting").get()
    with pytest.raises(RuntimeError, match="no node is open"):
        client.get("/")


def test_or_outside(tmp_path: Path) -> None:
    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(tmp_path / "a")(app):
            yield

    with TestClient(FastAPI(lifespan=own)) as client:
        assert isinstance(client.app.state.gossamer, gossamer.Node)  # type: ignore[attr-defined]  # FastAPI's


def test_a_directory_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    with (
        gossamer.open(tmp_path / "a"),
        pytest.raises(gossamer.DirectoryInUse),
        TestClient(FastAPI(lifespan=lifespan(tmp_path / "a"))),
    ):
        pass


def test_starlette_and_an_application_inside_it(tmp_path: Path) -> None:
    async def sold(request: Request) -> Response:
        node, op_id = for_starlette.node_of(request), for_starlette.op_id_of(request)
        await node.counter("sold").aadd(1, op_id=op_id)
        return JSONResponse(await node.counter("sold").avalue())

    inner = Starlette(routes=[Route("/sold", sold, methods=["POST"])])
    app = Starlette(
        routes=[
            Route("/sold", sold, methods=["POST"]),
            Mount("/inner", inner),
            *for_starlette.health_routes(),
        ],
        lifespan=for_starlette.lifespan(tmp_path / "a", keyspaces=["orders"]),
    )
    app.add_middleware(for_starlette.ReadYourWrites, keyspaces=["default", "orders"])
    for_starlette.add_exception_handlers(app)
    with TestClient(app) as client:
        assert client.post("/sold", headers={"Idempotency-Key": "k"}).json() == 1
        answer = client.post("/inner/sold", headers={"Idempotency-Key": "k"})
        assert answer.json() == 2
        tokens = answer.headers["Gossamer-Token"]
        assert tokens.startswith("default=")
        assert ", orders=" in tokens
        assert client.get("/readyz").json()["ready"]


def test_a_websocket_passes_untouched(tmp_path: Path) -> None:
    app = shop(node_at(tmp_path / "a"))

    @app.websocket("/live")
    async def live(socket: WebSocket, node: NodeDep) -> None:
        await socket.accept()
        await socket.send_json(await node.counter("sold").avalue())
        await socket.close()

    with TestClient(app) as client, client.websocket_connect("/live") as socket:
        assert socket.receive_json() == 0


def test_wrong_arguments_are_named() -> None:
    app = FastAPI()
    with pytest.raises(TypeError, match="keyspaces"):
        ReadYourWrites(app, keyspaces="orders")
    with pytest.raises(ValueError, match="keyspace"):
        ReadYourWrites(app, keyspaces=[""])
    with pytest.raises(ValueError, match="timeout"):
        ReadYourWrites(app, timeout=-1)


def test_importing_gossamer_imports_none_of_it() -> None:
    heavy = {"fastapi", "starlette", "uvicorn", "prometheus_client", "pytest", "grpc"}
    code = f"import gossamer, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_request_that_goes_away_while_it_waits_leaves_nothing(stack: ExitStack, tmp_path: Path) -> None:
    a = instance(stack, node_at(tmp_path / "a"))
    token = sent_back(a.post("/sold"))
    app = shop(node_at(tmp_path / "alone"))

    async def given_up() -> None:
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://alone") as client:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await client.get("/sold", headers=token)
                assert (await client.get("/sold")).json() == 0

    asyncio.run(given_up())
